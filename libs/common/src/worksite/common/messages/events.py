"""Events: what happened to a task. EVENTS is the truth; everything else can be rebuilt from it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from worksite.common.messages.base import PLAIN, Message, StepId, TaskId, Tenant
from worksite.common.messages.journal import ModelUse
from worksite.common.messages.replies import AgentReply, Gate, Route
from worksite.common.subjects import TimerPurpose


class StepResult(Message):
    """The one result of a step."""

    type: Literal["step_result"] = "step_result"
    task: TaskId
    tenant: Tenant
    step: StepId
    round: int
    reply: AgentReply
    started_at: datetime
    finished_at: datetime
    model_use: tuple[ModelUse, ...] = Field(default=(), description="what language models cost; by model")


class StepProgress(Message):
    """A line for whoever is watching; nothing depends on it."""

    type: Literal["step_progress"] = "step_progress"
    task: TaskId
    tenant: Tenant
    step: StepId
    text: str = Field(max_length=500)


class CancelRequested(Message):
    type: Literal["cancel_requested"] = "cancel_requested"
    task: TaskId
    tenant: Tenant
    principal: str
    reason: Annotated[str, Field(max_length=500), PLAIN] = ""


class InputGiven(Message):
    """A client's answer to `needs_input`."""

    type: Literal["input_given"] = "input_given"
    task: TaskId
    tenant: Tenant
    principal: str
    text: Annotated[str, Field(min_length=1, max_length=4000), PLAIN]
    route: Route | None = Field(default=None, description="go on along this route instead")


class ApprovalGiven(Message):
    """A person's word on a gate, bound to the digest of what was approved."""

    type: Literal["approval_given"] = "approval_given"
    task: TaskId
    tenant: Tenant
    principal: str
    gate: Gate
    approved: bool
    digest: str
    expires_at: datetime
    comment: Annotated[str, Field(max_length=500), PLAIN] = ""


class TimerDue(Message):
    """A timer that admin has set for itself has run out. Whether it still matters, the task's state says."""

    type: Literal["timer_due"] = "timer_due"
    task: TaskId
    tenant: Tenant
    purpose: TimerPurpose
    at: datetime
