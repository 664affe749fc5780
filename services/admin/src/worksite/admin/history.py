"""What EVENTS keeps of a task: its states, and in them the commands that wait to be answered."""

from __future__ import annotations

from worksite.common import subjects
from worksite.common.bus import Bus, Envelope
from worksite.common.messages import Command, TaskState


async def states(bus: Bus, tenant: str, task: str) -> list[TaskState]:
    """From the first to the last one that the replica that answers has seen. Raises BusUnavailable."""
    found: list[TaskState] = []
    read_up_to = 0
    while batch := await bus.read("EVENTS", subjects.state_subject(tenant, task), read_up_to):
        found += [TaskState.consume(stored.data) for stored in batch]
        read_up_to = batch[-1].sequence
    return found


def outbox(state: TaskState) -> list[tuple[Command, Envelope]]:
    """The commands of a state. Their envelopes are the same whenever they are published."""
    return [(command, _envelope(state, command, i)) for i, command in enumerate(state.commands)]


async def waited_for(bus: Bus, state: TaskState) -> list[tuple[Command, Envelope]]:
    """The commands of the steps in flight. Raises BusUnavailable.

    They stand in the state, but for packages: an earlier one commanded those, if others were answered since.
    """
    if set(state.in_flight) <= {command.step for command in state.commands}:
        return outbox(state)
    said = (sent for past in await states(bus, state.tenant, state.task) for sent in outbox(past))
    return [(command, envelope) for command, envelope in said if command.step in state.in_flight]


def _envelope(state: TaskState, command: Command, place: int) -> Envelope:
    return Envelope(
        command.ce_type(),
        "admin",
        state.tenant,
        state.task,
        id=f"{state.cause}-{place}",
        time=state.updated_at,
        causation=state.cause,
        deadline=state.deadline,
    )
