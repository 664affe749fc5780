"""The audit trail: what was denied to whom."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from worksite.common import subjects
from worksite.common.bus import Bus, Envelope
from worksite.common.errors import WorksiteError
from worksite.common.messages import AuditRecord
from worksite.gateway.domain.principal import Principal

log = logging.getLogger(__name__)

_NO_TASK = "-"


class Audit:
    """Writes records. A record that cannot be written is logged; the denial stands either way."""

    def __init__(self, bus: Bus, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._now = now

    async def denied(self, principal: Principal, action: str, resource: str, reason: str) -> None:
        """A policy said no."""
        await self._record("denied", principal, action, resource, reason)

    async def revoked(self, principal: Principal) -> None:
        """Somebody uses a token that was taken back."""
        await self._record("unauthenticated", principal, "authenticate", "gateway", "revoked token")

    async def _record(
        self, kind: Literal["denied", "unauthenticated"], principal: Principal, action: str, resource: str, reason: str
    ) -> None:
        record = AuditRecord(
            kind=kind,
            principal=principal.subject,
            action=action,
            resource=resource,
            reason=reason[:500],
            at=self._now(),
        )
        envelope = Envelope(record.ce_type(), "gateway", principal.tenant, _NO_TASK)
        try:
            await self._bus.publish(subjects.audit_subject(principal.tenant, kind), record, envelope)
        except WorksiteError as error:
            log.error("audit record lost (%s): %s", error, record.model_dump_json())
