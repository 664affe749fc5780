"""Removes artifacts that no task names any more: mark what is named, sweep what is not.

*Mark.* Every message that can name an artifact is read once, wherever that is kept: events (states and results among
them), submissions that wait, rows of the read model, effects that are recorded and not published yet, uploads. A hash
is marked until the last message that names it expires.

*Sweep.* What was put longer than GRACE ago, and has been named by nothing for as long, is removed. Why nothing is
removed that somebody needs:

- A step puts an artifact (which renews one that is there) and names it at the end, within its deadline; GRACE is
  longer.
- What the journal of a step names (large replies of models) is of use to that step alone, and so within its deadline.
- Whoever names an artifact without putting it (a state that repeats the one before, a task of an upload) knows it from
  a message that was there within GRACE, and which was read.
- Put and removal of the same hash exclude each other (`common/artifacts.py`).
- A turn that does not end in time is cut off, so that it never acts on what it read long ago.

Several admins may collect at once. After a restart everything is read again; a turn that was cut off goes on where it
stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worksite.admin import metrics
from worksite.admin.domain.marks import Marks
from worksite.common import subjects
from worksite.common.artifacts import Artifacts, Removed
from worksite.common.bus import Bus, created
from worksite.common.errors import WorksiteError

log = logging.getLogger(__name__)

GRACE = timedelta(days=2)
"""Longer than the longest step, which a deadline of a day bounds, by more than clocks differ."""
TURN_SECONDS = 3600.0


@dataclass(frozen=True)
class Source:
    """Where artifacts are named; each message is kept for `max_age`."""

    stream: str
    subject: str
    max_age: timedelta


@dataclass
class Position:
    """How far a stream was read, and when that stream was created."""

    created: str = ""
    sequence: int = 0


SOURCES = (
    *(
        Source(spec.name, subject, timedelta(seconds=spec.max_age_seconds))
        for spec in subjects.STREAMS
        if spec.name in {"EVENTS", "TASKS"}
        for subject in spec.subjects
    ),
    *(
        Source(f"KV_{spec.name}", f"$KV.{spec.name}.>", timedelta(seconds=spec.max_age_seconds))
        for spec in subjects.BUCKETS
        if spec.name in {subjects.TASKS, subjects.LEDGER, subjects.UPLOADS}
    ),
)


class Collector:
    """Collects in turns."""

    def __init__(self, bus: Bus, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._artifacts = Artifacts(bus)
        self._now = now
        self._marks = Marks()
        self._positions: dict[Source, Position] = {}

    async def run(self, stop: asyncio.Event, every_seconds: float) -> None:
        """A turn every so often, until `stop`; the first after a random part of it, so that a restart stays light."""
        pause = every_seconds * random.random()
        while not await _set_within(stop, pause):
            try:
                await self.turn()
            except (WorksiteError, TimeoutError) as error:
                log.warning("collecting artifacts is put off: %s", error or "it takes too long")
            except Exception:  # the boundary: admin decides on without it, and what is not collected only takes room
                log.exception("collecting artifacts failed")
            pause = every_seconds * random.uniform(0.75, 1.25)

    async def turn(self) -> Removed:
        """Read on, then remove. Raises BusUnavailable, TimeoutError; the next turn goes on."""
        before = self._now() - GRACE
        async with asyncio.timeout(TURN_SECONDS):
            for source in SOURCES:
                await self._read_on(source)
            self._marks.forget(before)
            removed = await self._artifacts.remove_all_but(self._marks, before)
        metrics.collected(removed)
        if removed.blobs:
            log.info("removed %d artifacts of %d bytes that no task names", removed.blobs, removed.bytes)
        return removed

    async def _read_on(self, source: Source) -> None:
        position = self._positions.setdefault(source, Position())
        begun = await created(self._bus, source.stream)
        if position.created != begun:  # made anew, its sequences begin anew
            position.created, position.sequence = begun, 0
        while batch := await self._bus.read(source.stream, source.subject, position.sequence):
            for stored in batch:
                self._marks.add(stored.data, stored.time + source.max_age)
            position.sequence = batch[-1].sequence


async def _set_within(event: asyncio.Event, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), seconds)
    return event.is_set()
