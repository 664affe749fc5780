"""The shell around `decide`: one event in, one state recorded, its commands published.

    read the last state -> decide -> record the new state -> perform it -> show it -> ack

A task that has no state yet has its route chosen in between (`router.py`).

Killed at any point, admin loses nothing and does nothing twice:

- Before the state is recorded nothing has happened. The event is not acked, so it comes again and is decided again. A
  language model that was asked for the route is asked through the journal, so it is not paid twice.
- Recording is a compare-and-set: the new state names the sequence of the state it was decided on. Of two admins with
  the same event, or two events of one task, one wins; the other gets a Conflict, reads again and decides again. The
  state's message id is fresh each time, so that JetStream's deduplication can never hide a Conflict.
- Once the state is recorded it binds. It lists the event in `applied` and holds the commands in its outbox. When the
  event comes again, its state is looked up in the task's history and performed as it stands: never decided anew.
- Performing is idempotent. A timer replaces the one before it, and is put only where the last known state wants it; one
  that runs out too early, because a race put it over the right one, leads to the right one being put again. A command's
  id is `<ce-id of the event>-<i>`, so the stream drops a second one within its window; after that the agent's ledger
  knows the step, and only re-publishes its result. A command is published again only while its step is in flight.
  Taking a step away (cancel, deadline) is a compare-and-set that changes nothing the second time. The read model only
  moves forward.
- Whatever is read may be old, where a replica lags. What is decided on it conflicts; that an event changes nothing is
  believed only of the state that the stream's leader has.
- The ack comes last, so whatever was cut off is done by the redelivery.
- A last state that cannot be read (nobody but admin may write there) is a fault of ours like any other: nothing is
  decided over it, the task's events become dead letters after MAX_FAULTS deliveries, and the sweeper tells each turn.

A command that WORK refuses because the tenant is at its cap hands the event back; its state is recorded by then, so
the redelivery only publishes: of several, those that are still in flight. The caps are the fairness between tenants.

Several steps are in flight while packages are built (ADR 0017). Each result is an event of its own: recorded one after
the other by the compare-and-set, and only the last one, which leaves nothing in flight, is followed by a command.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

from worksite.admin import history, metrics
from worksite.admin.domain.decide import TIME_TO_APPROVE, decide, open_task, without_room
from worksite.admin.domain.events import Event, Transition
from worksite.admin.domain.projection import entry_of
from worksite.admin.domain.routes import agent_of, is_ahead
from worksite.admin.domain.timers import timer_of
from worksite.admin.inbox import parse
from worksite.admin.read_model import ReadModel
from worksite.admin.router import Router
from worksite.admin.timers import Timers
from worksite.common import subjects, telemetry
from worksite.common.bus import Bus, Delivery, Envelope
from worksite.common.bus.connection import MAX_PAYLOAD_BYTES
from worksite.common.dead_letters import bury
from worksite.common.errors import Conflict, MalformedMessage, Retryable, UnknownMessageType, WorksiteError
from worksite.common.ids import new_id
from worksite.common.ledger import Ledger
from worksite.common.messages import RouteDecision, StepResult, SubmitTask, TaskState, TimerDue

log = logging.getLogger(__name__)

ChooseRoute = Callable[[SubmitTask], Awaitable[RouteDecision]]
UNKNOWN_TYPE_DELAY_SECONDS = 30.0
MAX_FAULTS = 50
"""Deliveries of an event that fails for no reason that time can mend; then it is a dead letter."""
_ATTEMPTS_TO_RECORD = 10
_LARGEST_SEQUENCE = 2**63


class NotYet(Retryable):
    """The event overtook the state it follows on; that state is about to be there."""


@dataclass(frozen=True)
class Recorded:
    """A state and where EVENTS keeps it."""

    state: TaskState
    sequence: int


class Orchestrator:
    """Handles the deliveries of admin's streams."""

    def __init__(
        self, bus: Bus, route: ChooseRoute | None = None, time_to_approve: timedelta = TIME_TO_APPROVE
    ) -> None:
        """`route`: how a route is chosen; by default without asking anybody."""
        self._bus = bus
        self._route = route or Router().route
        self._time_to_approve = time_to_approve
        self._timers = Timers(bus)
        self._ledger = Ledger(bus, "admin")
        self._read_model = ReadModel(bus)

    async def handle(self, delivery: Delivery) -> None:
        """One delivery, to its end."""
        try:
            await self.apply(parse(delivery))
        except MalformedMessage as error:
            await bury(self._bus, "admin", delivery, str(error))
        except WorksiteError as error:
            log.warning("%s seq %d is put off: %s", delivery.stream, delivery.sequence, error)
            await self._put_off(delivery, error)
        except Exception as error:  # the boundary: a fault of ours must not lose the event
            log.exception("%s seq %d failed", delivery.stream, delivery.sequence)
            telemetry.handler_failed(delivery.subject)
            await self._put_off(delivery, error)
        else:
            await delivery.ack()

    async def _put_off(self, delivery: Delivery, error: Exception) -> None:
        """Later. What has room or an answer to wait for waits as long as it takes; our own faults do not."""
        if not isinstance(error, Retryable | Conflict) and delivery.attempt >= MAX_FAULTS:
            await bury(self._bus, "admin", delivery, f"given up after {delivery.attempt} deliveries: {error}")
        else:
            await delivery.hand_back(UNKNOWN_TYPE_DELAY_SECONDS if isinstance(error, UnknownMessageType) else None)

    async def apply(self, event: Event) -> None:
        """Decide, record, perform; an event that was applied before is only performed.

        Raises a Retryable or Conflict where the event has to come again.
        """
        route: RouteDecision | None = None
        for _ in range(_ATTEMPTS_TO_RECORD):
            last, newest = await self._last(event)
            if last and event.id in last.state.applied:
                await self._perform(await self._recorded(event), last)
                return
            if last is None and isinstance(event.message, SubmitTask):
                route = route or await self._route(event.message)
            transition = self._decided(last.state if last else None, event, route)
            if transition is None:
                if await self._has_moved(event, newest):
                    continue
                log.info("%s of task %s changes nothing", event.message.type, event.message.task)
                if last and isinstance(event.message, TimerDue):  # stale: it may have replaced the right one
                    await self._timers.put(last.state)
                return
            try:
                recorded = await self._record(transition, newest)
            except Conflict:
                continue
            metrics.recorded(transition)
            await self._perform(transition, recorded)
            return
        raise Conflict(f"task {event.message.task}: others kept writing first")

    def _decided(self, state: TaskState | None, event: Event, route: RouteDecision | None) -> Transition | None:
        message = event.message
        if state is None and isinstance(message, TimerDue):
            return None  # set after the first state, so that state is no longer kept
        if state is None and route and isinstance(message, SubmitTask):
            transition = open_task(event, message, route)
        elif state is None or (isinstance(message, StepResult) and is_ahead(state, message)):
            raise NotYet(f"{message.type} of task {message.task} came before the state that it follows on")
        else:
            transition = decide(state, event, self._time_to_approve)
        return without_room(transition, event) if transition and not _fits(transition.after) else transition

    async def _last(self, event: Event) -> tuple[Recorded | None, int]:
        """The last state, and the sequence that a state decided on it has to expect."""
        tip = await self._bus.tip("EVENTS", subjects.state_subject(event.message.tenant, event.message.task))
        stored = tip.record
        return Recorded(TaskState.consume(stored.data), stored.sequence) if stored else None, tip.sequence

    async def _has_moved(self, event: Event, seen: int) -> bool:
        """Is there a later state than the one seen? Nothing is written where an event changes nothing, so that no
        compare-and-set would tell that a replica lagged, and the word of a person would be lost."""
        newest = await self._bus.newest("EVENTS", subjects.state_subject(event.message.tenant, event.message.task))
        return newest is not None and newest.sequence > seen

    async def _recorded(self, event: Event) -> Transition:
        """The transition that this event caused, from the history of the task."""
        states = await history.states(self._bus, event.message.tenant, event.message.task)
        for before, state in pairwise((None, *states)):
            if state and state.cause == event.id:
                return Transition(before, state)
        raise NotYet(f"a replica has not seen the state of task {event.message.task} that another one showed")

    async def _record(self, transition: Transition, expected_last: int) -> Recorded:
        state = transition.after
        envelope = Envelope(state.ce_type(), "admin", state.tenant, state.task, causation=state.cause)
        subject = subjects.state_subject(state.tenant, state.task)
        sequence = await self._bus.publish(subject, state, envelope, msg_id=new_id(), expected_last=expected_last)
        return Recorded(state, sequence)

    async def _perform(self, transition: Transition, last: Recorded) -> None:
        """Whatever of the transition the task still wants, given its last known state."""
        state = transition.after
        for step in transition.abandoned_steps:
            await self._ledger.cancel(agent_of(step), state.task, step)
        if transition.timer and transition.timer == timer_of(last.state):
            await self._timers.put(last.state)  # before the commands, which may have to wait for room
        for command, envelope in history.outbox(state):
            if command.step in last.state.in_flight:
                subject = subjects.work_subject(agent_of(command.step), state.tenant)
                await self._bus.publish(subject, command, envelope)
        await self._read_model.show(last.state, last.sequence)


def _fits(state: TaskState) -> bool:
    """Both the state and its row in the read model must fit into a message."""
    row = entry_of(state, _LARGEST_SEQUENCE)
    return max(len(state.to_json()), len(row.to_json())) <= MAX_PAYLOAD_BYTES
