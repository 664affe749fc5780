"""Sessions: begin, refresh, authenticate, end."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from . import audit
from .audit import Action
from .context import Context
from .models import Account, LoginSession, RefreshToken
from .problems import InvalidAccessToken, InvalidRefreshToken
from .tokens import digest, new_refresh_token


@dataclass(frozen=True, slots=True)
class TokenPair:
    """What a client receives for a login or a refresh."""

    access_token: str
    refresh_token: str


def begin(context: Context, tx: Session, account_id: str, now: datetime) -> TokenPair:
    """Start a session and issue its first tokens."""
    tx.execute(delete(LoginSession).where(LoginSession.expires_at <= now))
    session = LoginSession(
        id=uuid.uuid4().hex, account_id=account_id, created_at=now, expires_at=now
    )
    tx.add(session)
    tx.flush()
    return _issue(context, tx, session, now)


def refresh(context: Context, presented: str, ip: str | None) -> TokenPair:
    """Exchange a refresh token, once, for new tokens.

    A token that was already exchanged has been copied by someone: its whole session ends (RFC 9700,
    section 4.14.2).

    Raises:
        InvalidRefreshToken: unknown, used, expired or revoked; the caller cannot tell which.
    """
    now = context.clock()
    with context.database.write() as tx:
        pair = _exchange(context, tx, presented, now, ip)
    # Only now: raising inside the block would roll back the revocation.
    if pair is None:
        raise InvalidRefreshToken
    return pair


def authenticate(context: Context, access_token: str) -> Account:
    """Return the account of a valid access token whose session is still alive.

    Raises:
        InvalidAccessToken: the token is not valid or its session has ended.
    """
    now = context.clock()
    claims = context.access_tokens.verify(access_token, now)
    query = (
        select(Account)
        .join(LoginSession, LoginSession.account_id == Account.id)
        .where(Account.id == claims.account_id, LoginSession.id == claims.session_id)
        .where(LoginSession.revoked_at.is_(None), LoginSession.expires_at > now)
    )
    with context.database.read() as tx:
        account = tx.scalar(query)
    if account is None:
        raise InvalidAccessToken
    return account


def end(context: Context, refresh_token: str, ip: str | None) -> None:
    """End the session of a refresh token; an unknown token or an ended session is no error."""
    now = context.clock()
    with context.database.write() as tx:
        token = tx.get(RefreshToken, digest(refresh_token))
        session = token and tx.get_one(LoginSession, token.session_id)
        if session and session.revoked_at is None:
            session.revoked_at = now
            audit.record(tx, Action.LOGGED_OUT, session.account_id, now, ip)


def end_all(tx: Session, account_id: str, now: datetime) -> None:
    """End every session of an account."""
    alive = (LoginSession.account_id == account_id, LoginSession.revoked_at.is_(None))
    tx.execute(update(LoginSession).where(*alive).values(revoked_at=now))


def _exchange(
    context: Context, tx: Session, presented: str, now: datetime, ip: str | None
) -> TokenPair | None:
    token = tx.get(RefreshToken, digest(presented))
    if token is None or token.expires_at <= now:
        return None
    session = tx.get_one(LoginSession, token.session_id)
    if session.revoked_at is not None:
        return None
    if token.used_at is not None:
        session.revoked_at = now
        audit.record(tx, Action.REFRESH_REUSED, session.account_id, now, ip)
        return None
    token.used_at = now
    audit.record(tx, Action.REFRESHED, session.account_id, now, ip)
    return _issue(context, tx, session, now)


def _issue(context: Context, tx: Session, session: LoginSession, now: datetime) -> TokenPair:
    refresh_token = new_refresh_token()
    session.expires_at = now + timedelta(seconds=context.settings.refresh_token_seconds)
    tx.add(
        RefreshToken(
            digest=digest(refresh_token), session_id=session.id, expires_at=session.expires_at
        )
    )
    access_token = context.access_tokens.issue(session.account_id, session.id, now)
    return TokenPair(access_token, refresh_token)
