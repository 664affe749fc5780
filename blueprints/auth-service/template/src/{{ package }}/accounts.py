"""Accounts: register, log in, change the password."""

import uuid

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from . import audit, sessions, throttle
from .audit import Action
from .context import Context
from .models import Account
from .passwords import find_weakness
from .problems import EmailTaken, InvalidCredentials, WeakPassword, WrongPassword
from .sessions import TokenPair


def register(context: Context, email: str, password: str, ip: str | None) -> Account:
    """Create an account.

    Raises:
        WeakPassword: the policy refuses the password.
        EmailTaken: an account has this address.
    """
    _require_strength(context, password, email)
    now = context.clock()
    account = Account(
        id=uuid.uuid4().hex,
        email=email,
        password_hash=context.passwords.hash(password),
        password_changed_at=now,
        created_at=now,
    )
    try:
        with context.database.write() as tx:
            tx.add(account)
            tx.flush()
            audit.record(tx, Action.REGISTERED, account.id, now, ip)
    except IntegrityError:
        raise EmailTaken from None
    return account


def log_in(context: Context, email: str, password: str, ip: str | None) -> TokenPair:
    """Begin a session.

    Raises:
        TooManyAttempts: the address is locked; the password was not looked at.
        InvalidCredentials: no such account, or the wrong password.
    """
    account = _verify(context, email, password, Action.LOGIN_FAILED, ip)
    if account is None:
        raise InvalidCredentials
    outdated = context.passwords.is_outdated(account.password_hash)
    password_hash = context.passwords.hash(password) if outdated else account.password_hash
    now = context.clock()
    with context.database.write() as tx:
        stored = tx.get_one(Account, account.id)
        if stored.password_changed_at != account.password_changed_at:
            raise InvalidCredentials
        stored.password_hash = password_hash
        throttle.clear(tx, email)
        audit.record(tx, Action.LOGGED_IN, account.id, now, ip)
        return sessions.begin(context, tx, account.id, now)


def change_password(
    context: Context, account: Account, current: str, new: str, ip: str | None
) -> None:
    """Set a new password and end every session of the account.

    Raises:
        WeakPassword: the policy refuses the new password, or it is the current one.
        TooManyAttempts: the address is locked; the current password was not looked at.
        WrongPassword: the current password is wrong, or was changed meanwhile.
    """
    if new == current:
        raise WeakPassword("must differ from the current one")
    _require_strength(context, new, account.email)
    verified = _verify(context, account.email, current, Action.PASSWORD_CHANGE_FAILED, ip)
    if verified is None:
        raise WrongPassword
    password_hash = context.passwords.hash(new)
    now = context.clock()
    with context.database.write() as tx:
        stored = tx.get_one(Account, verified.id)
        if stored.password_changed_at != verified.password_changed_at:
            raise WrongPassword
        stored.password_hash = password_hash
        stored.password_changed_at = now
        sessions.end_all(tx, stored.id, now)
        throttle.clear(tx, stored.email)
        audit.record(tx, Action.PASSWORD_CHANGED, stored.id, now, ip)


def _require_strength(context: Context, password: str, email: str) -> None:
    weakness = find_weakness(password, email, context.settings.password_min_length)
    if weakness:
        raise WeakPassword(weakness)


def _verify(
    context: Context, email: str, password: str, failure: Action, ip: str | None
) -> Account | None:
    """Return the account if the password is right; count the attempt, and record a failure."""
    is_last = throttle.reserve_attempt(context, email, context.clock())
    with context.database.read() as tx:
        account = tx.scalar(select(Account).where(Account.email == email))
    if context.passwords.verify(password, account.password_hash if account else None):
        return account
    account_id = account.id if account else None
    now = context.clock()
    with context.database.write() as tx:
        audit.record(tx, failure, account_id, now, ip)
        if is_last:
            audit.record(tx, Action.LOCKED, account_id, now, ip)
    return None
