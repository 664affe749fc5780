"""The audit log: written in the same transaction as the event it records."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum, auto

from sqlalchemy import select
from sqlalchemy.orm import Session

from .models import AuditEvent


class Action(StrEnum):
    """What can happen to an account; stored as the name in lower case."""

    REGISTERED = auto()
    LOGGED_IN = auto()
    LOGIN_FAILED = auto()
    LOCKED = auto()
    REFRESHED = auto()
    REFRESH_REUSED = auto()
    LOGGED_OUT = auto()
    PASSWORD_CHANGED = auto()
    PASSWORD_CHANGE_FAILED = auto()


def record(
    tx: Session, action: Action, account_id: str | None, now: datetime, ip: str | None
) -> None:
    """Add one event to the transaction."""
    tx.add(AuditEvent(action=action, account_id=account_id, at=now, ip=ip))


def list_events(
    tx: Session, account_id: str, before: int | None, limit: int
) -> Sequence[AuditEvent]:
    """Return an account's events, newest first, older than the event id ``before``."""
    query = select(AuditEvent).where(AuditEvent.account_id == account_id)
    if before is not None:
        query = query.where(AuditEvent.id < before)
    return tx.scalars(query.order_by(AuditEvent.id.desc()).limit(limit)).all()
