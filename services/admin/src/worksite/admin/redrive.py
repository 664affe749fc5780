"""Redrive: have the message of a dead letter handled again, where that can still lead to something (ADR 0008).

Admin does it for all services; it alone commands agents, and it alone knows what each task still waits for. Nothing is
taken from whoever asks but the letter's number. What is in a letter is as good as the delivery it was made of, because
only the service that could not handle it may write under its name.

- *Admin's own letters* (TASKS, EVENTS, TIMERS) are applied here and now, like a redelivery: `applied` and the
  compare-and-set of the state make a second time harmless. They are not published again: EVENTS still holds an event,
  and nobody may speak in its producer's name.
- *An agent's letters* are published again on the agent's own work subject, if the task waits for that very step. A step
  that was given up has told its failure, which ended the task: its ledger would only repeat that.
- *What cannot be read* may be due to our version: an agent's is sent again anyway, and dies again if it has to.
"""

from __future__ import annotations

import logging

from worksite.admin.handlers import Orchestrator
from worksite.admin.inbox import parse
from worksite.common import dead_letters, subjects
from worksite.common.bus import Bus
from worksite.common.dead_letters import Buried, Original
from worksite.common.errors import BusUnavailable, MalformedMessage, PayloadTooLarge, QueueFull, UnknownMessageType
from worksite.common.messages import TERMINAL, RedriveLetter, RedriveOutcome, StepCommand, TaskState
from worksite.common.worker import parse_command

log = logging.getLogger(__name__)


class Refused(Exception):
    """A redrive would lead to nothing; the text says why, and what to do instead."""


class Redriver:
    """Answers `ws.v1.rpc.admin.redrive`. Asked twice about one letter, it does no more than once."""

    def __init__(self, bus: Bus, orchestrator: Orchestrator) -> None:
        self._bus = bus
        self._orchestrator = orchestrator

    async def redrive(self, asked: RedriveLetter) -> RedriveOutcome:
        """Raises BusUnavailable, QueueFull: nothing is lost, ask again."""
        buried = await dead_letters.find(self._bus, asked.tenant, asked.sequence)
        try:
            if buried is None:
                raise Refused("there is no such letter")
            if buried.letter.service == "admin":
                await self._apply(buried.original)
            else:
                await self._send(buried, asked.tenant)
        except Refused as refusal:
            return RedriveOutcome(redriven=False, reason=str(refusal)[:1000])
        log.info("redrove letter %d of %s", asked.sequence, asked.tenant)
        return RedriveOutcome(redriven=True)

    async def _apply(self, original: Original) -> None:
        try:
            await self._orchestrator.apply(parse(original))
        except MalformedMessage as error:
            raise Refused(f"admin still cannot read it: {error}") from error
        except (BusUnavailable, QueueFull):
            raise
        except Exception as error:  # the boundary: it is in DEAD because something failed, and may fail again
            log.exception("a redriven message failed again")
            raise Refused(f"admin failed again: {error}") from error

    async def _send(self, buried: Buried, tenant: str) -> None:
        subject = subjects.work_subject(buried.letter.service, tenant)
        if buried.letter.subject != subject:
            raise Refused(f"it did not come on {subject}")
        if command := _command(buried.original):
            await self._check_wanted(command, tenant)
        try:
            await self._bus.publish_raw(subject, buried.letter.body, buried.headers_again())
        except PayloadTooLarge as error:
            raise Refused(str(error)) from error

    async def _check_wanted(self, command: StepCommand, tenant: str) -> None:
        """Raises Refused unless the task has this step in flight."""
        stored = await self._bus.newest("EVENTS", subjects.state_subject(tenant, command.task))
        if stored is None:
            raise Refused(f"task {command.task} is not known (any more)")
        state = TaskState.consume(stored.data)
        if state.status in TERMINAL:
            raise Refused(f"its task is {state.status}: submit the request again as a new task")
        if command.step not in state.in_flight:
            raise Refused(f"its task does not wait for step {command.step} (any more): it is {state.status}")


def _command(original: Original) -> StepCommand | None:
    """What an agent was asked to do; None where it is no step, or not to be read by this version."""
    try:
        return parse_command(original)[1]
    except (MalformedMessage, UnknownMessageType):
        return None
