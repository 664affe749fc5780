"""Accept a task: lock the idempotency key, publish, make it visible. What is acknowledged is not lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from worksite.common import subjects
from worksite.common.bus import Bus, Entry, Envelope, KeyValue
from worksite.common.bus.connection import MAX_PAYLOAD_BYTES
from worksite.common.errors import BusUnavailable, Conflict, PayloadTooLarge, Retryable
from worksite.common.ids import new_id
from worksite.common.messages import SubmitTask, TaskEntry
from worksite.gateway import problems
from worksite.gateway.domain import idempotency
from worksite.gateway.domain.idempotency import Lock
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import NewTask, Project
from worksite.gateway.domain.uploads import Upload
from worksite.gateway.rows import readable
from worksite.gateway.tasks import Tasks
from worksite.gateway.uploads import UploadRecords

log = logging.getLogger(__name__)

ROUTE = "POST /v1/tasks"


class KeyReused(Exception):
    """The idempotency key has been used for another body."""


class Intake:
    """Turns accepted requests into SubmitTask messages."""

    def __init__(self, bus: Bus, tasks: Tasks, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._tasks = tasks
        self._uploads = UploadRecords(bus)
        self._locks = KeyValue(bus, subjects.IDEMPOTENCY)
        self._now = now

    async def submit(self, principal: Principal, wanted: NewTask, body: bytes, key: str | None) -> TaskEntry:
        """Publish once per key and body. Raises KeyReused, QueueFull, BusUnavailable, PayloadTooLarge, and a
        422 problem for an upload that the tenant does not have.

        After any of these nothing is lost: the same request with the same key goes on where this one stopped.
        """
        if not self._bus.reachable:  # a client that is reconnecting would keep the message and send it later
            raise BusUnavailable("not connected to NATS")
        storage_key = _storage_key(principal, key) if key else None
        if key and wanted.project.upload and (known := await self.known(principal, body, key)):
            return known  # whose upload may have expired since
        upload = await self._upload(principal.tenant, wanted.project)
        lock = Lock(
            body_sha256=idempotency.digest(body), task=new_id(), principal=principal.subject, submitted_at=self._now()
        )
        # Before the key is used up, and long before the queue has it.
        entry = _entry(wanted, principal.tenant, lock, upload)
        if storage_key:
            lock = await self._lock(storage_key, lock)
            if not lock.fits(body):
                raise KeyReused(f"key of task {lock.task}")
            if known := await self._tasks.shown(principal.tenant, lock.task):
                return known
            entry = _entry(wanted, principal.tenant, lock, upload)
        await self._publish(entry.submitted)
        return await self._make_visible(entry)

    async def known(self, principal: Principal, body: bytes, key: str) -> TaskEntry | None:
        """The task that this very request has led to before, as far as it is visible. Raises BusUnavailable."""
        storage_key = _storage_key(principal, key)
        found = await self._locks.get(storage_key) or await self._locks.newest(storage_key)
        lock = readable(Lock, found) if found else None
        return await self._tasks.get(principal.tenant, lock.task) if lock and lock.fits(body) else None

    async def _upload(self, tenant: str, project: Project) -> Upload | None:
        if project.upload is None:
            return None
        upload = await self._uploads.get(tenant, project.upload)
        if upload is None:
            raise problems.does_not_fit("project.upload", "no such upload, or it has expired: POST it to /v1/uploads")
        if project.ref is not None and upload.format != "bundle":
            raise problems.does_not_fit("project.ref", f"belongs to a git bundle; this upload is a {upload.format}")
        return upload

    async def _lock(self, key: str, wanted: Lock) -> Lock:
        """The lock that holds: ours, or the one that was there first."""
        while True:
            try:
                await self._locks.create(key, wanted.model_dump_json().encode())
            except Conflict:
                if found := await self._locks.get(key):
                    return _taken(found)
                continue  # it expired between the two calls
            return wanted

    async def _publish(self, command: SubmitTask) -> None:
        # The task's id is the message's too: copies are dropped by the stream for ten minutes, by admin for ever.
        envelope = Envelope(command.ce_type(), "gateway", command.tenant, command.task, id=command.task)
        await self._bus.publish(subjects.task_subject(command.tenant), command, envelope)

    async def _make_visible(self, entry: TaskEntry) -> TaskEntry:
        try:
            return await self._tasks.accepted(entry)
        except Retryable as error:
            # The task is stored and will run; an error now would make the client submit it twice. Admin creates the
            # entry when it takes the task up.
            log.warning("task %s is accepted but not visible yet: %s", entry.submitted.task, error)
            return entry


def _storage_key(principal: Principal, key: str) -> str:
    return idempotency.storage_key(principal.tenant, principal.subject, ROUTE, key)


def _taken(found: Entry) -> Lock:
    """What the key stands for. Raises KeyReused where nobody can tell: a new key is what helps then as well."""
    if lock := readable(Lock, found):
        return lock
    raise KeyReused(f"the lock {found.key} cannot be read")


def _entry(wanted: NewTask, tenant: str, lock: Lock, upload: Upload | None) -> TaskEntry:
    """The task as it will be shown. Raises PayloadTooLarge: what cannot be shown must not be published either."""
    submitted = wanted.command(lock.task, tenant, lock.principal, lock.submitted_at, upload)
    entry = TaskEntry(state=None, submitted=submitted, sequence=0)
    if (size := len(entry.to_json())) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"task of {size} bytes: at most {MAX_PAYLOAD_BYTES}")
    return entry
