"""The audit trail: what was denied to whom, and what was done in whose name."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncGenerator, Callable
from datetime import UTC, datetime, timedelta
from typing import Literal

from worksite.common import subjects
from worksite.common.bus import Bus, Envelope
from worksite.common.errors import WorksiteError
from worksite.common.messages import AuditRecord
from worksite.gateway.domain.denials import WINDOW, Denials
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.principal import Principal

log = logging.getLogger(__name__)

_NO_TASK = "-"
_LOOK_SECONDS = 5.0
_MAX_REASON = 500
_Kind = Literal["denied", "unauthenticated", "redriven", "allowed"]


class Audit:
    """Writes records. Repeated denials are summed up; one that cannot be written is logged, and stands either way."""

    def __init__(self, bus: Bus, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._now = now
        self._denials = Denials()

    async def denied(self, principal: Principal, action: str, resource: str, reason: str) -> None:
        """A policy said no."""
        await self._record("denied", principal, action, resource, reason)

    async def revoked(self, principal: Principal) -> None:
        """Somebody uses a token that was taken back."""
        await self._record("unauthenticated", principal, "authenticate", "gateway", "revoked token")

    async def act(self, kind: Literal["redriven", "allowed"], permit: Permit, detail: str) -> None:
        """A privileged action, and which policies let it be done; asked again at once, it is one. Raises
        BusUnavailable."""
        who = permit.principal
        reason = f"{', '.join(permit.policies)}: {detail}"
        once = "\n".join((who.tenant, who.subject, permit.action, permit.resource, detail))
        record = self._said(kind, who, permit.action, permit.resource, reason)
        await self._publish(who.tenant, record, msg_id=hashlib.sha256(once.encode()).hexdigest())

    async def _record(self, kind: _Kind, principal: Principal, action: str, resource: str, reason: str) -> None:
        record = self._said(kind, principal, action, resource, reason)
        if self._denials.is_first(principal.tenant, record):
            await self._write(principal.tenant, record)

    def _said(self, kind: _Kind, principal: Principal, action: str, resource: str, reason: str) -> AuditRecord:
        return AuditRecord(
            kind=kind,
            principal=principal.subject,
            action=action,
            resource=resource,
            reason=reason[:_MAX_REASON],
            at=self._now(),
        )

    async def sum_up(self, window: timedelta = WINDOW) -> None:
        """Write what was counted in the windows that have been open for so long."""
        due = self._denials.due(self._now() - window)
        await asyncio.gather(*(self._write(tenant, record) for tenant, record in due))

    async def _write(self, tenant: str, record: AuditRecord) -> None:
        try:
            await self._publish(tenant, record)
        except WorksiteError as error:
            log.error("audit record lost (%s): %s", error, record.model_dump_json())

    async def _publish(self, tenant: str, record: AuditRecord, msg_id: str | None = None) -> None:
        envelope = Envelope(record.ce_type(), "gateway", tenant, _NO_TASK)
        await self._bus.publish(subjects.audit_subject(tenant, record.kind), record, envelope, msg_id=msg_id)


@contextlib.asynccontextmanager
async def recording(bus: Bus) -> AsyncGenerator[Audit]:
    """An audit trail that sums up while it is open, and once more when it closes."""
    audit = Audit(bus)
    summing_up = asyncio.create_task(_sum_up_for_ever(audit))
    try:
        yield audit
    finally:
        summing_up.cancel()
        await audit.sum_up(timedelta(0))


async def _sum_up_for_ever(audit: Audit) -> None:
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        await audit.sum_up()
