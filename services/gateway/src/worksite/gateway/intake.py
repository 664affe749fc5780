"""Accept a task: lock the idempotency key, publish, make it visible. What is acknowledged is not lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, KeyValue
from worksite.common.errors import BusUnavailable, Conflict, Retryable
from worksite.common.ids import new_id
from worksite.common.messages import SubmitTask, TaskEntry
from worksite.gateway.domain import idempotency
from worksite.gateway.domain.idempotency import Lock
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import NewTask
from worksite.gateway.tasks import Tasks

log = logging.getLogger(__name__)

ROUTE = "POST /v1/tasks"


class KeyReused(Exception):
    """The idempotency key has been used for another body."""


class Intake:
    """Turns accepted requests into SubmitTask messages."""

    def __init__(self, bus: Bus, tasks: Tasks, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._tasks = tasks
        self._locks = KeyValue(bus, subjects.IDEMPOTENCY)
        self._now = now

    async def submit(self, principal: Principal, wanted: NewTask, body: bytes, key: str | None) -> TaskEntry:
        """Publish once per key and body. Raises KeyReused, QueueFull, BusUnavailable, PayloadTooLarge.

        After any of these nothing is lost: the same request with the same key goes on where this one stopped.
        """
        if not self._bus.connected:  # a client that is reconnecting would keep the message and send it later
            raise BusUnavailable("not connected to NATS")
        lock = Lock(
            body_sha256=idempotency.digest(body), task=new_id(), principal=principal.subject, submitted_at=self._now()
        )
        if key is not None:
            lock = await self._lock(idempotency.storage_key(principal.tenant, ROUTE, key), lock)
            if not lock.fits(body):
                raise KeyReused(f"key of task {lock.task}")
            if known := await self._tasks.get(principal.tenant, lock.task):
                return known
        command = wanted.command(lock.task, principal.tenant, lock.principal, lock.submitted_at)
        await self._publish(command)
        return await self._make_visible(command)

    async def _lock(self, key: str, wanted: Lock) -> Lock:
        """The lock that holds: ours, or the one that was there first."""
        while True:
            try:
                await self._locks.create(key, wanted.model_dump_json().encode())
            except Conflict:
                if found := await self._locks.get(key):
                    return Lock.model_validate_json(found.value)
                continue  # it expired between the two calls
            return wanted

    async def _publish(self, command: SubmitTask) -> None:
        # The task's id is the message's too: copies are dropped by the stream for ten minutes, by admin for ever.
        envelope = Envelope(command.ce_type(), "gateway", command.tenant, command.task, id=command.task)
        await self._bus.publish(subjects.task_subject(command.tenant), command, envelope)

    async def _make_visible(self, command: SubmitTask) -> TaskEntry:
        try:
            return await self._tasks.accepted(command)
        except Retryable as error:
            # The task is stored and will run; an error now would make the client submit it twice. Admin creates the
            # entry when it takes the task up.
            log.warning("task %s is accepted but not visible yet: %s", command.task, error)
            return TaskEntry(state=None, submitted=command, sequence=0)
