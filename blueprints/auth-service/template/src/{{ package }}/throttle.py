"""Lockout: a bounded number of password attempts per e-mail address.

Attempts are counted by address, whether or not an account has it, so a lockout does not tell which
accounts exist. An attempt is counted *before* the password is checked: a burst of parallel guesses
gets no more checks than the same guesses one by one. A correct password clears the count.
"""

import math
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from .context import Context
from .models import PasswordAttempts
from .problems import TooManyAttempts
from .tokens import digest


def reserve_attempt(context: Context, email: str, now: datetime) -> bool:
    """Count one attempt; tell whether it is the last one before the lockout.

    Raises:
        TooManyAttempts: the address is locked. The attempt is not counted.
    """
    allowed = context.settings.lockout_attempts
    with context.database.write() as tx:
        attempts = _current(tx, email, now)
        if attempts.count >= allowed:
            raise TooManyAttempts(math.ceil((attempts.expires_at - now).total_seconds()))
        attempts.count += 1
        attempts.expires_at = now + timedelta(seconds=context.settings.lockout_seconds)
        return attempts.count >= allowed


def clear(tx: Session, email: str) -> None:
    """Forget the attempts after a correct password."""
    tx.execute(delete(PasswordAttempts).where(PasswordAttempts.address_digest == digest(email)))


def _current(tx: Session, email: str, now: datetime) -> PasswordAttempts:
    # Anyone can cause a row for any address, so the expired rows of all of them go.
    tx.execute(delete(PasswordAttempts).where(PasswordAttempts.expires_at <= now))
    attempts = tx.get(PasswordAttempts, digest(email))
    if attempts is None:
        attempts = PasswordAttempts(address_digest=digest(email), count=0, expires_at=now)
        tx.add(attempts)
    return attempts
