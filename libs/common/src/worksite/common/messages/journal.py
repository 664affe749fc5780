"""What a step did that cost money or cannot be repeated: model calls and tool results, one record each."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from worksite.common.messages.artifacts import ArtifactRef
from worksite.common.messages.base import JournalStep, Message, Model, Sha256, TaskId, Tenant


class JournalRecord(Message):
    """One turn. A call is recorded twice on its subject: when it begins, and with its reply.

    `body` is what the kind says, as JSON; a large one is an artifact.
    """

    type: Literal["journal_record"] = "journal_record"
    task: TaskId
    tenant: Tenant
    step: JournalStep
    index: int = Field(ge=0, description="its place in the step; a later record of a place replaces all from it on")
    kind: Literal["call_begun", "call", "tool"]
    digest: Sha256 = Field(description="of what was asked; a replay that asks something else has left this path")
    holder: str
    body: str | None = None
    artifact: ArtifactRef | None = None


class ModelUse(Model):
    """What a step had of one model; every response that the provider bills counts, whatever became of it."""

    model: str
    calls: int = Field(ge=0, description="replies that were used")
    wasted: int = Field(default=0, ge=0, description="responses that broke off, were rejected or are in doubt")
    input_tokens: int = Field(default=0, ge=0, description="neither read from the cache nor written to it")
    cache_read_tokens: int = Field(default=0, ge=0)
    cache_write_5m_tokens: int = Field(default=0, ge=0)
    cache_write_1h_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost_micro_usd: int = Field(default=0, ge=0, description="millionths of a dollar")
    in_doubt_micro_usd: int = Field(default=0, ge=0, description="of it, what the provider may not have billed")
