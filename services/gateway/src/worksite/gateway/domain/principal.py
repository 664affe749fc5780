"""Who asks, as a verified token says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from worksite.common.ids import SHARED_TENANT

ROLES = frozenset({"viewer", "developer", "approver", "operator"})
MAX_LIFETIME_SECONDS = 24 * 3600
"""A token that lives longer would outlive its entry in the deny-list."""
_TENANT = re.compile(r"[a-z0-9]{1,32}")
_SUBJECT_MAX = 256


class InvalidClaims(ValueError):
    """A genuine token whose claims do not name a principal; the text says which claim."""


@dataclass(frozen=True)
class Principal:
    """The subject of a token, its tenant and roles."""

    subject: str
    tenant: str
    roles: frozenset[str]
    token_id: str
    expires_at: float


def principal_from(claims: Mapping[str, object]) -> Principal:
    """Read claims whose standard part (iss, aud, exp, nbf, iat) has been checked. Raises InvalidClaims."""
    expires_at, issued_at = _number(claims, "exp"), _number(claims, "iat")
    if expires_at - issued_at > MAX_LIFETIME_SECONDS:
        raise InvalidClaims(f"a token may live {MAX_LIFETIME_SECONDS} seconds at most")
    return Principal(
        subject=_subject(claims),
        tenant=_tenant(claims),
        roles=_roles(claims),
        token_id=_text(claims, "jti"),
        expires_at=expires_at,
    )


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= _SUBJECT_MAX:
        raise InvalidClaims(f"claim {name} must be a string of 1 to {_SUBJECT_MAX} characters")
    return value


def _subject(claims: Mapping[str, object]) -> str:
    subject = _text(claims, "sub")
    if not subject.isprintable():
        raise InvalidClaims("claim sub must be printable")
    return subject


def _tenant(claims: Mapping[str, object]) -> str:
    tenant = _text(claims, "tenant")
    if not _TENANT.fullmatch(tenant):
        raise InvalidClaims("claim tenant must be 1 to 32 of a-z and 0-9")
    if tenant == SHARED_TENANT:
        raise InvalidClaims(f"tenant {SHARED_TENANT} is reserved")
    return tenant


def _roles(claims: Mapping[str, object]) -> frozenset[str]:
    value = claims.get("roles")
    names = cast("list[object]", value) if isinstance(value, list) else []
    roles = frozenset(name for name in names if isinstance(name, str))
    if not roles or len(roles) != len(names) or not roles <= ROLES:
        raise InvalidClaims(f"claim roles must be a list of distinct roles among {', '.join(sorted(ROLES))}")
    return roles


def _number(claims: Mapping[str, object], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, (int, float)):
        raise InvalidClaims(f"claim {name} must be a number")
    return float(value)
