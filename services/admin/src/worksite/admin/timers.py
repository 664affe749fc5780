"""Timers on the bus: messages that the server publishes when their time has come, admin or no admin.

Only the admin's user may write to `ws.v1.timer.set`, and nobody to `ws.v1.timer.due`, where the server puts them.
"""

from __future__ import annotations

from worksite.admin.domain.timers import timer_of
from worksite.common.bus import Bus, Envelope
from worksite.common.messages import TaskState, TimerDue
from worksite.common.subjects import timer_subject


class Timers:
    """Puts the timers that states want."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def put(self, state: TaskState) -> None:
        """Once more does no harm: it replaces itself, and one that is over comes at once. Raises BusUnavailable."""
        timer = timer_of(state)
        if timer is None:
            return
        due = TimerDue(task=state.task, tenant=state.tenant, purpose=timer.purpose, at=timer.at)
        envelope = Envelope(
            due.ce_type(), "admin", state.tenant, state.task, id=f"{state.cause}-{timer.purpose}", causation=state.cause
        )
        target = timer_subject("due", state.task, timer.purpose)
        await self._bus.schedule(timer_subject("set", state.task, timer.purpose), target, timer.at, due, envelope)
