"""Which tasks are on a page: newest first, by ids, which begin with the time of creation (UUIDv7, RFC 9562).

Rows come in the order of their last write, newest first. A task is created before its row is written, so when a row of
some time has been seen, every row not yet seen is of a task created before then. That settles which tasks are the
newest long before all have been read.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError
from worksite.common.ids import id_at
from worksite.common.messages import Route, TaskEntry, TaskStatus

CLOCK_SLACK = timedelta(seconds=5)
"""Ids bear the gateway's time, writes the bus's; their clocks may differ by so much."""
MAX_EXAMINED = 1000
"""A page of what is rare ends early after so many tasks; the next goes on."""
_BEYOND = "g"
"""Sorts after every id."""


@dataclass(frozen=True)
class TaskQuery:
    """What a client asks for; `before` is an id, itself left out."""

    limit: int
    before: str | None = None
    status: TaskStatus | None = None
    route: Route | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def lowest(self) -> str:
        """The least id that is looked for."""
        return id_at(self.since) if self.since else ""

    @property
    def above(self) -> str:
        """Every id that is looked for is less."""
        return min(self.before or _BEYOND, id_at(self.until) if self.until else _BEYOND)

    def fits(self, entry: TaskEntry) -> bool:
        """Is it of the status and route?"""
        status = entry.state.status if entry.state else "queued"
        route = entry.state.route.route if entry.state else entry.submitted.route
        return self.status in (None, status) and self.route in (None, route)


@dataclass(frozen=True)
class TaskPage:
    """Some tasks, and the id to go on before; None: there are no more."""

    entries: tuple[TaskEntry, ...]
    go_on_before: str | None


class Selection:
    """Picks a page from rows."""

    def __init__(self, query: TaskQuery) -> None:
        self._query = query
        self._lowest, self._above = query.lowest, query.above
        self._seen: dict[str, TaskEntry] = {}
        self._unseen_below = _BEYOND

    def add(self, task: str, row: bytes, written_at: datetime) -> None:
        """The row of the next older write."""
        self._unseen_below = id_at(written_at + CLOCK_SLACK)
        self.update(task, row)

    def update(self, task: str, row: bytes) -> None:
        """A row that was written meanwhile."""
        if self._lowest <= task < self._above:
            with suppress(ValidationError):  # it must not hide the others; admin writes it anew
                self._seen[task] = TaskEntry.consume(row)

    @property
    def is_settled(self) -> bool:
        """Can no row that has not been seen change the page, or is it time to end it early?"""
        settled = [task for task in self._seen if task >= self._unseen_below]
        return (
            self._unseen_below <= self._lowest
            or sum(self._query.fits(self._seen[task]) for task in settled) > self._query.limit
            or (len(self._seen) >= MAX_EXAMINED and bool(settled))
        )

    def page(self, *, saw_all: bool) -> TaskPage:
        """The page, when `is_settled` or when there are no more rows."""
        bound = "" if saw_all or self._unseen_below <= self._lowest else self._unseen_below
        settled = sorted((task for task in self._seen if task >= bound), reverse=True)
        found = [entry for task in settled if self._query.fits(entry := self._seen[task])]
        shown = tuple(found[: self._query.limit])
        return TaskPage(shown, shown[-1].submitted.task if len(found) > len(shown) else bound or None)
