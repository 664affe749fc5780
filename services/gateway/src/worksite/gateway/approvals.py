"""Give a task the approver's word it waits for: once per gate."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, Stored
from worksite.common.errors import Conflict
from worksite.common.messages import ApprovalGiven, TaskEntry
from worksite.gateway.domain import approving
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import ApprovalWord

_EVER_GIVEN = 256


class Approvals:
    """Publishes words on gates. The same word once more, by the same person, is taken for a repeated call."""

    def __init__(self, bus: Bus, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._now = now

    async def give(self, caller: Principal, entry: TaskEntry, word: ApprovalWord) -> None:
        """Raises NothingToApprove, BusUnavailable. After the latter the same call may just be repeated."""
        task = entry.submitted.task
        subject = subjects.event_subject(caller.tenant, task, "gateway", subjects.TASK_LEVEL_STEP, "approval")
        while True:
            newest = (await self._bus.tip("EVENTS", subject, history=False)).sequence
            earlier = await self._bus.read("EVENTS", subject, 0, _EVER_GIVEN)
            event = word.event(task, caller.tenant, caller.subject, self._now())
            if any(_said(stored, event) for stored in earlier):
                return
            last = earlier[-1].sequence if earlier else 0
            asked = approving.awaited(entry, event, last, self._now())
            event = event.model_copy(update={"expires_at": asked.expires_at})
            try:
                envelope = Envelope(event.ce_type(), "gateway", caller.tenant, task)
                await self._bus.publish(subject, event, envelope, expected_last=newest)
            except Conflict:  # somebody spoke between our look and our word: look again
                continue
            return


def _said(stored: Stored, event: ApprovalGiven) -> bool:
    earlier = ApprovalGiven.consume(stored.data)
    return earlier.model_copy(update={"expires_at": event.expires_at}) == event
