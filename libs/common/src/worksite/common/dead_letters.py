"""Where a message goes that nobody can handle: kept whole, with the reason, never acknowledged into the void."""

from __future__ import annotations

import base64
import logging
import re
from datetime import UTC, datetime

from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, Envelope
from worksite.common.bus.envelope import MSG_ID
from worksite.common.messages import DeadLetter

log = logging.getLogger(__name__)

UNKNOWN_TENANT = "unknown"
_KEPT_BYTES = 600_000
"""Of the body. Nothing of ours is larger than 64 KB, and base64 of this much still fits what the server takes."""
_LETTER_BYTES = 1_000_000
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
        body_base64=base64.b64encode(delivery.data[:_KEPT_BYTES]).decode(),
        died_at=datetime.now(UTC),
    )
    tenant = _tenant(delivery)
    envelope = Envelope(letter.ce_type(), service, tenant, delivery.headers.get("ws-task", "unknown"))
    msg_id = f"dead-{delivery.stream}-{delivery.sequence}"
    headers = envelope.headers() | {MSG_ID: msg_id}
    await bus.publish_raw(subjects.dead_subject(service, tenant), letter.to_json(), headers, max_bytes=_LETTER_BYTES)
    log.error("dead letter from %s seq %d: %s", delivery.stream, delivery.sequence, reason)
    if terminate:
        await delivery.terminate()


def _tenant(delivery: Delivery) -> str:
    """From the subject, which the bus has checked, not from the body, which may be the fault."""
    candidates = delivery.subject.split(".")[3:5]
    last = candidates[0] if delivery.stream == "EVENTS" else candidates[-1] if candidates else ""
    return last if _TENANT.fullmatch(last) else UNKNOWN_TENANT
