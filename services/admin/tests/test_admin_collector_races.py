"""Collectors, steps and repeated states at once, over months, in any order: what a kept event names is there.

A bus in memory, on which any number of others may act between two calls of one, and a clock that they push.
"""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from worksite.admin.collector import Collector
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Stored, Tip
from worksite.common.bus.envelope import EXPECTED_LAST_SUBJECT_SEQUENCE
from worksite.common.errors import Conflict
from worksite.common.messages import ArtifactRef

KEPT, DAY = timedelta(days=30), timedelta(days=1)
CONTENTS = (b"one", b"two" * 30_000, b"three")
EVENT = "ws.v1.event.acme.t.builder.3-build.result"


def named(ref: ArtifactRef) -> bytes:
    return ref.model_dump_json().encode()


class Clock:
    """It stands still rather than let somebody miss a deadline."""

    def __init__(self, dice: random.Random) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self._dice = dice
        self._deadlines: list[datetime] = []

    @contextlib.contextmanager
    def within(self, most: timedelta) -> Iterator[None]:
        deadline = self.now + most
        self._deadlines.append(deadline)
        yield
        self._deadlines.remove(deadline)

    async def passes(self, *steps: timedelta) -> None:
        for _ in range(self._dice.randrange(4)):
            await asyncio.sleep(0)
        self.now = min([self.now + self._dice.choice(steps), *self._deadlines])


class MemoryBus:
    """As much of a bus as artifacts and the collector use."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.streams: dict[str, list[Stored]] = {"EVENTS": [], "OBJ_artifacts": []}
        self._sequence = 0

    async def request_raw(self, *_: Any) -> Any:
        return SimpleNamespace(data=b'{"state":{"bytes":1},"config":{"max_bytes":2},"created":"once"}')

    async def _others_act(self) -> None:
        await self.clock.passes(timedelta(), timedelta(), timedelta(minutes=20), timedelta(hours=5))

    def kept(self, stream: str) -> list[Stored]:
        held = self.streams.get(stream, [])
        return [m for m in held if stream != "EVENTS" or m.time > self.clock.now - KEPT]

    def put(self, stream: str, subject: str, data: bytes) -> int:
        self._sequence += 1
        self.streams[stream].append(Stored(subject, self._sequence, self.clock.now, data, {}))
        return self._sequence

    async def publish_raw(self, subject: str, data: bytes, headers: dict[str, str]) -> int:
        await self._others_act()
        held = [m for m in self.streams["OBJ_artifacts"] if m.subject == subject]
        expected = headers.get(EXPECTED_LAST_SUBJECT_SEQUENCE)
        if expected is not None and int(expected) != (held[-1].sequence if held else 0):
            raise Conflict(subject)
        if "Nats-Rollup" in headers:
            self.streams["OBJ_artifacts"] = [m for m in self.streams["OBJ_artifacts"] if m not in held]
        return self.put("OBJ_artifacts", subject, data)

    async def last(self, stream: str, subject: str) -> Stored | None:
        return next(iter((await self._found(stream, subject))[::-1]), None)

    newest = last

    async def tip(self, stream: str, subject: str) -> Tip:
        record = await self.last(stream, subject)
        return Tip(record.sequence if record else 0, record)

    async def read(self, stream: str, subject: str, after: int, limit: int = 2) -> list[Stored]:
        return [m for m in await self._found(stream, subject) if m.sequence > after][:limit]

    async def subjects(self, stream: str, subject: str) -> set[str]:
        return {m.subject for m in await self._found(stream, subject)}

    async def purge(self, stream: str, subject: str, up_to: int | None = None) -> int:
        found = await self._found(stream, subject)
        gone = [m for m in found if up_to is None or m.sequence <= up_to]
        self.streams[stream] = [m for m in self.streams[stream] if m not in gone]
        return len(gone)

    async def _found(self, stream: str, subject: str) -> list[Stored]:
        await self._others_act()
        return [m for m in self.kept(stream) if fnmatch.fnmatch(m.subject, subject.replace(">", "*"))]


class Months:
    """Some months of one installation."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.clock = Clock(self.dice)
        self.bus: Any = MemoryBus(self.clock)

    async def steps(self) -> None:
        """Each puts what others may have put before, works on, and names it within a day."""
        for _ in range(6):
            await self.clock.passes(timedelta(), DAY, 9 * DAY)
            with self.clock.within(DAY):
                artifacts = Artifacts(self.bus, now=lambda: self.clock.now)
                ref = await artifacts.put(self.dice.choice(CONTENTS), "text/plain")
                await self.clock.passes(timedelta(), timedelta(hours=23))
                self.bus.put("EVENTS", EVENT, named(ref))

    async def repetitions(self) -> None:
        """Each names again what a kept event names, within a day."""
        for _ in range(6):
            await self.clock.passes(timedelta(), DAY, 9 * DAY)
            with self.clock.within(DAY):
                if kept := self.bus.kept("EVENTS"):
                    data = self.dice.choice(kept).data
                    await self.clock.passes(timedelta(), timedelta(hours=23))
                    self.bus.put("EVENTS", EVENT, data)

    async def collections(self) -> None:
        collector = Collector(self.bus, lambda: self.clock.now)
        for _ in range(8):
            await self.clock.passes(timedelta(hours=1), DAY, 9 * DAY)
            with self.clock.within(timedelta(hours=20)):
                await collector.turn()
            await self.check()

    async def check(self) -> None:
        """On a copy, where nobody else acts."""
        copy: Any = MemoryBus(Clock(random.Random()))
        copy.streams = {"OBJ_artifacts": list(self.bus.streams["OBJ_artifacts"])}
        for data in {message.data for message in self.bus.kept("EVENTS")}:
            await Artifacts(copy).get(ArtifactRef.model_validate_json(data))

    async def pass_by(self) -> None:
        async with asyncio.TaskGroup() as actors:
            for act in (self.steps, self.steps, self.steps, self.repetitions, self.collections, self.collections):
                actors.create_task(act())
        await self.check()


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_what_a_kept_event_names_is_there_whoever_collects_meanwhile(seed: int) -> None:
    asyncio.run(Months(seed).pass_by())


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_in_the_end_nothing_is_left_that_nothing_names(seed: int) -> None:
    async def life() -> None:
        months = Months(seed)
        await months.pass_by()
        months.clock.now += KEPT + 5 * DAY
        await Collector(months.bus, lambda: months.clock.now).turn()
        assert months.bus.streams["OBJ_artifacts"] == []

    asyncio.run(life())


def test_a_task_of_the_last_day_keeps_what_a_month_old_task_has_put() -> None:
    async def life() -> None:
        months = Months(0)
        artifacts = Artifacts(months.bus, now=lambda: months.clock.now)
        for _ in range(2):
            months.bus.put("EVENTS", EVENT, named(await artifacts.put(b"data", "text/plain")))
            months.clock.now += 29 * DAY
        await Collector(months.bus, lambda: months.clock.now).turn()
        await months.check()
        assert len(months.bus.kept("EVENTS")) == 1

    asyncio.run(life())
