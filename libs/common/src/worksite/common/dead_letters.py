"""Where a message goes that nobody can handle: kept whole, with the reason, never acknowledged into the void."""

from __future__ import annotations

import base64
import logging
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from worksite.common import subjects, telemetry
from worksite.common.bus import Bus, Delivery, Envelope
from worksite.common.bus.connection import Stored
from worksite.common.bus.envelope import EXPECTED_LAST_SUBJECT_SEQUENCE, MSG_ID
from worksite.common.messages import DeadLetter
from worksite.common.messages.records import REDRIVE_COUNT

log = logging.getLogger(__name__)

UNKNOWN_TENANT = "unknown"
_KEPT_BYTES = 600_000
"""Of the body. Nothing of ours is larger than 64 KB, and base64 of this much still fits what the server takes."""
_LETTER_BYTES = 1_000_000
_TENANT = re.compile(r"[a-z0-9]{1,32}")


@dataclass(frozen=True)
class Original:
    """The message inside of a letter, as it was delivered."""

    subject: str
    data: bytes
    headers: dict[str, str]


@dataclass(frozen=True)
class Buried:
    """A letter and its place in DEAD, which names it."""

    sequence: int
    letter: DeadLetter

    @property
    def original(self) -> Original:
        """What could not be handled."""
        return Original(self.letter.subject, self.letter.body, self.letter.headers)

    def headers_again(self) -> dict[str, str]:
        """The headers under which the message is published once more: the same event (`ce-id`), another message.

        The message id follows from the letter, so that the stream drops a repeated redrive of it. What marks a message
        as relayed by the server stays: a redrive makes nobody's word genuine.
        """
        kept = {name: value for name, value in self.letter.headers.items() if name != EXPECTED_LAST_SUBJECT_SEQUENCE}
        return kept | {MSG_ID: f"redrive-{self.sequence}", REDRIVE_COUNT: str(self.letter.redrive_count + 1)}


async def find(bus: Bus, tenant: str, sequence: int) -> Buried | None:
    """A tenant's letter by its sequence in DEAD; None for other tenants' as well. Raises BusUnavailable."""
    found = await bus.read("DEAD", subjects.dead_subject("*", tenant), after=sequence - 1, limit=1)
    return opened(found[0]) if found and found[0].sequence == sequence else None


def opened(stored: Stored) -> Buried | None:
    """The letter; None for what `bury` cannot have written under that subject: only its own service can write there."""
    try:
        letter = DeadLetter.consume(stored.data)
        letter.body  # noqa: B018 (decoded to see that it can be)
    except ValueError as error:
        log.warning("DEAD seq %d is no letter: %s", stored.sequence, error)
        return None
    if stored.subject.split(".")[-2] != letter.service:
        log.warning("DEAD seq %d claims to be of %s on %s", stored.sequence, letter.service, stored.subject)
        return None
    return Buried(stored.sequence, letter)


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
    telemetry.buried(delivery.subject)
    log.error("dead letter from %s seq %d: %s", delivery.stream, delivery.sequence, reason)
    if terminate:
        await delivery.terminate()


def _tenant(delivery: Delivery) -> str:
    """From the subject, which the bus has checked, not from the body, which may be the fault."""
    if delivery.stream == "TIMERS":  # its subjects name no tenant, and only admin sets timers
        told = delivery.headers.get("ws-tenant", "")
        return told if _TENANT.fullmatch(told) else UNKNOWN_TENANT
    candidates = delivery.subject.split(".")[3:5]
    last = candidates[0] if delivery.stream == "EVENTS" else candidates[-1] if candidates else ""
    return last if _TENANT.fullmatch(last) else UNKNOWN_TENANT
