"""Where a message goes that nobody can handle: kept whole, with the reason, never acknowledged into the void."""

from __future__ import annotations

import base64
import logging
import re
from datetime import UTC, datetime

from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, Envelope
from worksite.common.messages import DeadLetter

log = logging.getLogger(__name__)

UNKNOWN_TENANT = "unknown"
_TENANT = re.compile(r"[a-z0-9]{1,32}")


async def bury(bus: Bus, service: str, delivery: Delivery, reason: str, *, terminate: bool = True) -> None:
    """Store the dead letter first, then end the delivery. Raises BusUnavailable, and then nothing is lost."""
    letter = DeadLetter(
        service=service,
        stream=delivery.stream,
        sequence=delivery.sequence,
        subject=delivery.subject,
        reason=reason[:2000],
        deliveries=delivery.attempt,
        headers=delivery.headers,
        body_base64=base64.b64encode(delivery.data[:32_000]).decode(),
        died_at=datetime.now(UTC),
    )
    tenant = _tenant(delivery)
    envelope = Envelope(letter.ce_type(), service, tenant, delivery.headers.get("ws-task", "unknown"))
    msg_id = f"dead-{delivery.stream}-{delivery.sequence}"
    await bus.publish(subjects.dead_subject(service, tenant), letter, envelope, msg_id=msg_id)
    log.error("dead letter from %s seq %d: %s", delivery.stream, delivery.sequence, reason)
    if terminate:
        await delivery.terminate()


def _tenant(delivery: Delivery) -> str:
    """From the subject, which the bus has checked, not from the body, which may be the fault."""
    candidates = delivery.subject.split(".")[3:5]
    last = candidates[0] if delivery.stream == "EVENTS" else candidates[-1] if candidates else ""
    return last if _TENANT.fullmatch(last) else UNKNOWN_TENANT
