"""Identifiers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import uuid_utils

SHARED_TENANT = "shared"
"""Owns the knowledge that every tenant may search. No principal may be of it."""

_TIME_DIGITS, _DIGITS = 12, 32
_LATEST_MS = 16**_TIME_DIGITS - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id() -> str:
    """A UUIDv7 (RFC 9562) in hex: unique, and sorted by time of creation."""
    return uuid_utils.uuid7().hex


def id_at(moment: datetime) -> str:
    """The least id that can have been made then."""
    milliseconds = (moment - _EPOCH) // timedelta(milliseconds=1)
    return f"{min(max(milliseconds, 0), _LATEST_MS):0{_TIME_DIGITS}x}".ljust(_DIGITS, "0")
