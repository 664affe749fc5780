"""Records for operators: dead letters and the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field
from worksite.common.messages.base import Message


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
