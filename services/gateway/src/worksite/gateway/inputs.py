"""Give a task the answer it waits for: once per question, and once per idempotency key."""

from __future__ import annotations

from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, Stored
from worksite.common.errors import Conflict
from worksite.common.ids import new_id
from worksite.common.messages import InputGiven, TaskEntry
from worksite.common.messages.tasks import MAX_REQUEST_BYTES
from worksite.gateway.domain import answering, idempotency
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import TaskInput
from worksite.gateway.intake import KeyReused

_EVER_GIVEN = MAX_REQUEST_BYTES
"""Answers of one task at most: each has a byte at least."""


class Inputs:
    """Publishes answers. What was published before is the truth: an answer that is there is not given again."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def give(self, caller: Principal, entry: TaskEntry, wanted: TaskInput, key: str | None) -> None:
        """Raises KeyReused, NotWaiting, TooLong, BusUnavailable. After the last the same call may just be repeated."""
        task = entry.submitted.task
        event = InputGiven(
            task=task, tenant=caller.tenant, principal=caller.subject, text=wanted.text, route=wanted.route
        )
        event_id = _event_id(caller, task, key) if key else new_id()
        subject = subjects.event_subject(caller.tenant, task, "gateway", subjects.TASK_LEVEL_STEP, "input")
        envelope = Envelope(event.ce_type(), "gateway", caller.tenant, task, id=event_id)
        while True:
            newest = (await self._bus.tip("EVENTS", subject, history=False)).sequence
            given = await self._bus.read("EVENTS", subject, 0, _EVER_GIVEN)
            last = given[-1].sequence if given else 0
            if earlier := _by_id(given, event_id):
                if earlier != event:
                    raise KeyReused(f"key of an answer to task {task}")
                return
            answering.check(entry, last, wanted.text)
            try:
                await self._bus.publish(subject, event, envelope, expected_last=newest)
            except Conflict:  # somebody answered between our look and our word: look again
                continue
            return


def _event_id(caller: Principal, task: str, key: str) -> str:
    """The same for the same key, so that admin and the stream recognise a copy as well."""
    return idempotency.storage_key(caller.tenant, caller.subject, f"POST /v1/tasks/{task}/input", key)[-32:]


def _by_id(given: list[Stored], event_id: str) -> InputGiven | None:
    found = (stored for stored in given if stored.headers.get("ce-id") == event_id)
    return next((InputGiven.consume(stored.data) for stored in found), None)
