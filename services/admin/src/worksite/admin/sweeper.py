"""Mends what stands still: what a crash between two writes, or a message that expired, left behind.

Everything it does is what a redelivery would have done, and as harmless a second time: several admins may sweep at
once. It goes by the read model, each row of which is read once per write; tasks that have not ended are then looked at
in turn.

- A row without a state whose submission does not wait any more: the task is taken up as if it had just come.
- A row that shows less than EVENTS knows: it is written again.
- A task at work whose command neither waits in WORK nor was answered: the command is published again under its own
  id. It names the last message that it saw waiting, so that of two sweepers one succeeds. One that became a dead letter
  is left to whoever redrives it: it would only die again.
- A task whose timer should have run out: the timer is put again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import islice

from pydantic import ValidationError
from worksite.admin.domain.events import Event
from worksite.admin.domain.routes import agent_of
from worksite.admin.domain.timers import timer_of
from worksite.admin.handlers import Orchestrator
from worksite.admin.history import waited_for
from worksite.admin.read_model import ReadModel
from worksite.admin.timers import Timers
from worksite.common import subjects
from worksite.common.bus import Bus, Entry, KeyValue, Stored
from worksite.common.dead_letters import opened
from worksite.common.errors import BusUnavailable, Conflict, QueueFull
from worksite.common.ids import new_id
from worksite.common.messages import TERMINAL, SubmitTask, TaskEntry, TaskState

log = logging.getLogger(__name__)

PATIENCE = timedelta(seconds=60)
"""What moved within that time is left alone: whoever is at work on it will get there."""
_PAGE, _PAGES_PER_TURN, _TASKS_PER_TURN = 256, 16, 256


class Sweeper:
    """Sweeps in turns, each of which reads and looks at a limited number of tasks."""

    def __init__(
        self, bus: Bus, orchestrator: Orchestrator, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._bus = bus
        self._orchestrator = orchestrator
        self._now = now
        self._rows = KeyValue(bus, subjects.TASKS)
        self._read_model = ReadModel(bus)
        self._timers = Timers(bus)
        self._read_up_to = 0
        self._open: dict[str, None] = {}
        """Keys of tasks that have not ended, the one looked at longest ago first."""

    async def run(self, stop: asyncio.Event, every_seconds: float) -> None:
        """A turn at once and then every so often, until `stop`."""
        while not stop.is_set():
            try:
                await self.turn()
            except BusUnavailable as error:
                log.warning("sweeping is put off: %s", error)
            except Exception:  # the boundary: admin decides on without it, and the next turn may do better
                log.exception("sweeping failed")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_seconds * random.uniform(0.75, 1.25))

    async def turn(self) -> None:
        """Raises BusUnavailable; the next turn goes on."""
        await self._read_on()
        for key in list(islice(self._open, _TASKS_PER_TURN)):
            if await self._looked_after(key):
                del self._open[key]
            else:
                self._open[key] = self._open.pop(key)  # to the end

    async def _read_on(self) -> None:
        for _ in range(_PAGES_PER_TURN):
            rows = await self._rows.entries(after=self._read_up_to, limit=_PAGE)
            for row in rows:
                self._read_up_to = row.revision
                if not _at_rest(row):
                    self._open.setdefault(row.key)
            if len(rows) < _PAGE:
                return

    async def _looked_after(self, key: str) -> bool:
        """True when the task needs no more looking after. Raises BusUnavailable."""
        try:
            return await self._mended(key)
        except BusUnavailable:
            raise
        except (Conflict, QueueFull) as error:  # somebody else is at work on it, or there is no room yet
            log.info("task %s is looked at again later: %s", key, error)
        except Exception:  # the boundary: one task that cannot be mended must not keep others from it
            log.exception("task %s cannot be mended", key)
        return False

    async def _mended(self, key: str) -> bool:
        row = await self._rows.newest(key)  # from leaders: what is missing would be forgotten
        if row is None:
            return True
        entry = _readable(row)
        stored = await self._bus.newest("EVENTS", subjects.state_subject(*key.split(".", 1)))
        if stored is None:
            if entry and entry.state is None and self._rests(row.written_at):
                await self._take_up(entry.submitted)
            return entry is None or entry.state is not None  # then EVENTS keeps it no longer
        state = TaskState.consume(stored.data)
        if self._rests(stored.time):
            await self._read_model.show(state, stored.sequence)
            await self._time(state)
            await self._commands(state)
        return state.status in TERMINAL and entry is not None and entry.sequence >= stored.sequence

    def _rests(self, since: datetime) -> bool:
        return self._now() - since > PATIENCE

    async def _take_up(self, submitted: SubmitTask) -> None:
        waiting = await self._waiting("TASKS", subjects.task_subject(submitted.tenant))
        if submitted.task not in _ids(waiting):
            log.warning("task %s was accepted and is not queued: it is taken up now", submitted.task)
            await self._orchestrator.apply(Event(submitted.task, self._now(), submitted))

    async def _time(self, state: TaskState) -> None:
        timer = timer_of(state)
        if timer and self._rests(timer.at):
            log.warning("the %s of task %s went by unnoticed: its timer is put again", timer.purpose, state.task)
            await self._timers.put(state)

    async def _commands(self, state: TaskState) -> None:
        for command, envelope in await waited_for(self._bus, state):
            agent = agent_of(command.step)
            subject = subjects.work_subject(agent, state.tenant)
            # In this order: an agent publishes its result before its command leaves the queue.
            waiting = await self._waiting("WORK", subject)
            result = subjects.event_subject(state.tenant, state.task, agent, command.step, "result")
            if envelope.id in _ids(waiting) or await self._bus.last("EVENTS", result):
                continue
            if await self._died(subjects.dead_subject(agent, state.tenant), envelope.id):
                log.info("%s of task %s is a dead letter: left to a redrive", command.step, state.task)
                continue
            log.warning("%s of task %s is neither queued nor answered: published again", command.step, state.task)
            seen = waiting[-1].sequence if waiting else 0
            await self._bus.publish(subject, command, envelope, msg_id=new_id(), expected_last=seen)

    async def _died(self, subject: str, ce_id: str) -> bool:
        """Read through all letters of one tenant and agent, which are few or a greater trouble than this."""
        after, full = 0, True
        while full:
            page = await self._bus.read("DEAD", subject, after, limit=_PAGE)
            if any(buried.letter.headers.get("ce-id") == ce_id for buried in map(opened, page) if buried):
                return True
            after, full = (page[-1].sequence if page else after), len(page) == _PAGE
        return False

    async def _waiting(self, stream: str, subject: str) -> list[Stored]:
        """All that waits on one subject of a work queue, which holds no more than its cap."""
        return await self._bus.read(stream, subject, after=0, limit=_PAGE)


def _readable(row: Entry) -> TaskEntry | None:
    try:
        return TaskEntry.consume(row.value)
    except ValidationError:  # it is written anew from EVENTS
        return None


def _at_rest(row: Entry) -> bool:
    """Does the row show a task that has ended?"""
    entry = _readable(row)
    return entry is not None and entry.state is not None and entry.state.status in TERMINAL


def _ids(waiting: list[Stored]) -> set[str | None]:
    return {stored.headers.get("ce-id") for stored in waiting}
