"""The envelope: CloudEvents in binary mode, W3C trace context and our own headers.

Sources: CloudEvents 1.0 NATS protocol binding; W3C Trace Context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from worksite.common.errors import MalformedMessage
from worksite.common.ids import new_id

MSG_ID = "Nats-Msg-Id"
SOURCE = "ce-source"
SEQUENCE = "Nats-Sequence"
"""The server's own, in its answer to a direct get."""
SCHEDULE, SCHEDULE_TARGET = "Nats-Schedule", "Nats-Schedule-Target"
EXPECTED_LAST_SUBJECT_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"


@dataclass(frozen=True)
class Envelope:
    """Who says what about which task, and why."""

    type: str
    source: str
    tenant: str
    task: str
    id: str = field(default_factory=new_id)
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    causation: str | None = None
    deadline: datetime | None = None

    def headers(self) -> dict[str, str]:
        """The envelope as NATS headers, without `Nats-Msg-Id`."""
        headers = {
            "ce-specversion": "1.0",
            "ce-id": self.id,
            "ce-type": self.type,
            SOURCE: self.source,
            "ce-time": self.time.isoformat(),
            "ce-subject": self.task,
            "ws-tenant": self.tenant,
            "ws-task": self.task,
        }
        if self.causation:
            headers["ws-causation-id"] = self.causation
        if self.deadline:
            headers["ws-deadline"] = self.deadline.isoformat()
        return headers

    @classmethod
    def from_headers(cls, headers: Mapping[str, str] | None) -> Envelope:
        """Raises MalformedMessage, naming the header that is missing or wrong.

        What carries the server's own `Nats-Sequence` is the answer to a direct get that somebody sent to a subject of
        a stream: NATS does not check who may publish on a reply subject, so such a message may be anybody's.
        """
        headers = headers or {}
        if SEQUENCE in headers:
            raise MalformedMessage("the message was relayed by the server, not published by a service")
        deadline = headers.get("ws-deadline")
        try:
            return cls(
                id=headers["ce-id"],
                type=headers["ce-type"],
                source=headers[SOURCE],
                time=datetime.fromisoformat(headers["ce-time"]),
                tenant=headers["ws-tenant"],
                task=headers["ws-task"],
                causation=headers.get("ws-causation-id"),
                deadline=datetime.fromisoformat(deadline) if deadline else None,
            )
        except KeyError as missing:
            raise MalformedMessage(f"header {missing.args[0]} is missing") from missing
        except ValueError as error:
            raise MalformedMessage(f"a header is not a timestamp: {error}") from error
