"""What the owner of the token does: create, look at, change and delete links."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.orm import Session

from .codes import RESERVED
from .context import Context
from .models import DailyClicks, Link, State
from .problems import AliasTaken, ExpiryInThePast, NotFound, UnknownCursor
from .schemas import LinkPatch


def create(context: Context, url: str, alias: str | None, expires_at: datetime | None) -> Link:
    """Store a link under its alias, or under a code that nobody can guess.

    Raises:
        InvalidUrl, OwnUrl, DeniedHost: no link may lead there.
        ExpiryInThePast: the link would never work.
        AliasTaken: a link has or had this alias, or the service itself needs it.
    """
    context.destinations.require(url)
    now = context.clock()
    _require_future(expires_at, now)
    link = Link(url=url, enabled=True, deleted=False, created_at=now, expires_at=expires_at)
    with context.database.write() as tx:
        link.code = _free_code(context, tx, alias)
        tx.add(link)
        tx.flush()
        tx.refresh(link)
    return link


def list_links(
    context: Context, state: State | None, before: str | None, limit: int
) -> Sequence[Link]:
    """Return links, newest first: those that were created before the link with the code ``before``.

    Raises:
        UnknownCursor: there never was a link with that code.
    """
    query = select(Link).where(~Link.deleted)
    if state is not None:
        query = query.where(_is(state, context.clock()))
    with context.database.read() as tx:
        if before is not None:
            last = tx.scalar(select(Link.id).where(Link.code == before))
            if last is None:
                raise UnknownCursor
            query = query.where(Link.id < last)
        return tx.scalars(query.order_by(Link.id.desc()).limit(limit)).all()


def show(context: Context, code: str) -> Link:
    """Return a link.

    Raises:
        NotFound: there is none with this code.
    """
    with context.database.read() as tx:
        return find(tx, code)


def change(context: Context, code: str, changes: LinkPatch) -> Link:
    """Disable or enable a link, or let it end at another time; what is not given stays as it is.

    Raises:
        NotFound: there is none with this code.
        ExpiryInThePast: to end a link now, disable it.
    """
    _require_future(changes.get("expires_at"), context.clock())
    with context.database.write() as tx:
        link = find(tx, code)
        for name, value in changes.items():
            setattr(link, name, value)
        tx.flush()
        tx.refresh(link)
    return link


def remove(context: Context, code: str) -> None:
    """Erase a link and its statistics. Its code is never given again: it may stand on paper.

    Raises:
        NotFound: there is none with this code.
    """
    with context.database.write() as tx:
        link = find(tx, code)
        link.deleted, link.url = True, ""
        tx.execute(delete(DailyClicks).where(DailyClicks.link == link.id))


def find(tx: Session, code: str) -> Link:
    """Return a link that is not deleted.

    Raises:
        NotFound: there is none with this code.
    """
    link = tx.scalar(select(Link).where(Link.code == code, ~Link.deleted))
    if link is None:
        raise NotFound
    return link


def _free_code(context: Context, tx: Session, alias: str | None) -> str:
    if alias is not None:
        if alias in RESERVED or _is_taken(tx, alias):
            raise AliasTaken
        return alias
    code = context.new_code(context.settings.code_length)
    while _is_taken(tx, code):
        code = context.new_code(context.settings.code_length)
    return code


def _is_taken(tx: Session, code: str) -> bool:
    return tx.scalar(select(Link.id).where(Link.code == code)) is not None


def _require_future(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise ExpiryInThePast


def _is(state: State, now: datetime) -> ColumnElement[bool]:
    """Say in SQL what ``Link.state`` says in Python."""
    conditions: dict[State, ColumnElement[bool]] = {
        State.DISABLED: ~Link.enabled,
        State.EXPIRED: and_(Link.enabled, Link.expires_at <= now),
        State.ACTIVE: and_(Link.enabled, or_(Link.expires_at.is_(None), Link.expires_at > now)),
    }
    return conditions[state]
