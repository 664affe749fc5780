"""Identifiers."""

from __future__ import annotations

import uuid_utils


def new_id() -> str:
    """A UUIDv7 (RFC 9562) in hex: unique, and sorted by time of creation."""
    return uuid_utils.uuid7().hex
