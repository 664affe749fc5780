"""Records for operators: dead letters and the audit trail."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Literal

from pydantic import Field
from worksite.common.messages.base import Message, Tenant

REDRIVE_COUNT = "ws-redrive-count"
"""Header of a message that was redriven: how often. Absent: never."""
_COUNT_DIGITS = 10


class DeadLetter(Message):
    """A message that nobody could handle, kept whole, with the reason."""

    type: Literal["dead_letter"] = "dead_letter"
    service: str
    stream: str
    sequence: int
    subject: str
    reason: str
    deliveries: int
    headers: dict[str, str]
    body_base64: str
    died_at: datetime

    @property
    def body(self) -> bytes:
        """The message itself. Raises ValueError where it is no base64, which `bury` never writes."""
        return base64.b64decode(self.body_base64, validate=True)

    @property
    def redrive_count(self) -> int:
        """How often the message had been redriven before it died this time."""
        told = self.headers.get(REDRIVE_COUNT, "")
        return int(told) if told.isascii() and told.isdecimal() and len(told) < _COUNT_DIGITS else 0


class RedriveLetter(Message):
    """The gateway asks admin to have a dead letter's message handled again."""

    type: Literal["redrive_letter"] = "redrive_letter"
    tenant: Tenant
    sequence: int = Field(ge=1, description="of the letter in DEAD")


class RedriveOutcome(Message):
    """Whether it was; a refusal leaves the letter as it is."""

    type: Literal["redrive_outcome"] = "redrive_outcome"
    redriven: bool
    reason: str = Field(default="", description="of a refusal, for the operator")


class AuditRecord(Message):
    """A denial or a privileged action."""

    type: Literal["audit_record"] = "audit_record"
    kind: Literal["denied", "allowed", "unauthenticated", "dead_lettered", "redriven"]
    principal: str
    action: str
    resource: str
    reason: str = Field(max_length=500)
    at: datetime
    times: int = Field(default=1, ge=1, description="how many this stands for; of repeats only the newest is told")
