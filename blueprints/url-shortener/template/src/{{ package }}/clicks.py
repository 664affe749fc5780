"""Following links, and counting that."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert

from .context import Context
from .links import find
from .models import DailyClicks, Link, State
from .problems import LinkGone, UnknownLink
from .urls import host_of


def destination(context: Context, code: str) -> Link:
    """Return the link with this code if it leads somewhere now.

    Raises:
        UnknownLink: there never was a link with this code.
        LinkGone: it was deleted or disabled, has expired, or its host is denied by now.
    """
    with context.database.read() as tx:
        link = tx.scalar(select(Link).where(Link.code == code))
    if link is None:
        raise UnknownLink
    if link.deleted or link.state(context.clock()) != State.ACTIVE:
        raise LinkGone
    if context.destinations.is_denied(host_of(link.url)):
        raise LinkGone
    return link


def count(context: Context, link: Link) -> None:
    """Count a click of today."""
    first = insert(DailyClicks).values(link=link.id, day=context.clock().date(), count=1)
    # One statement, so that of clicks at the same time none is lost.
    more = first.on_conflict_do_update(
        index_elements=[DailyClicks.link, DailyClicks.day], set_={"count": DailyClicks.count + 1}
    )
    with context.database.write() as tx:
        tx.execute(more)


def statistics(context: Context, code: str, days: int) -> tuple[Link, Sequence[tuple[date, int]]]:
    """Return a link and its clicks on each of the last days, today last; all days are UTC.

    Raises:
        NotFound: there is none with this code.
    """
    today = context.clock().date()
    span = [today - timedelta(days=ago) for ago in reversed(range(days))]
    with context.database.read() as tx:
        link = find(tx, code)
        rows = tx.scalars(
            select(DailyClicks).where(DailyClicks.link == link.id, DailyClicks.day >= span[0])
        )
        counts = {row.day: row.count for row in rows}
    return link, [(day, counts.get(day, 0)) for day in span]
