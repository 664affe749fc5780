"""What a client asks for, and the state that admin keeps of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints
from worksite.common.messages.base import PLAIN, Message, Model, Sha256, StepId, TaskId, Tenant, json_bytes
from worksite.common.messages.commands import Command, PlannedDelivery, Tier
from worksite.common.messages.journal import ModelUse
from worksite.common.messages.replies import (
    Agent,
    Answer,
    Changeset,
    Delivered,
    Gate,
    ImportedProject,
    Judgement,
    Problem,
    Question,
    ReplyStatus,
    Route,
    RouteDecision,
    SpecWritten,
)
from worksite.common.messages.sources import Delivery, GitRef, NewProject, ProjectSource
from worksite.common.messages.spec import Criterion

MAX_REQUEST_BYTES = 12_000
"""Of the request together with all later input."""
MAX_CRITERIA_BYTES = 5_000
"""Both as JSON. They travel three times in one message (state, outbox, read model), and a message holds 64 KB; what is
left over is for the task's history."""


def _request_fits(request: str) -> str:
    if (size := json_bytes(request) - len('""')) > MAX_REQUEST_BYTES:
        raise ValueError(f"{size} bytes as JSON; at most {MAX_REQUEST_BYTES} fit: put details into the project's files")
    return request


def _criteria_fit(criteria: tuple[Criterion, ...]) -> tuple[Criterion, ...]:
    if (size := json_bytes(criteria)) > MAX_CRITERIA_BYTES:
        raise ValueError(f"{size} bytes as JSON; at most {MAX_CRITERIA_BYTES} fit: say it in fewer words")
    return criteria


RequestText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1), PLAIN, AfterValidator(_request_fits)
]
Criteria = Annotated[tuple[Criterion, ...], Field(max_length=20), AfterValidator(_criteria_fit)]
TaskStatus = Literal["queued", "running", "needs_input", "completed", "failed", "cancelled"]
TERMINAL: frozenset[TaskStatus] = frozenset({"completed", "failed", "cancelled"})
MAX_ROUNDS = 3


class TaskOptions(Model):
    """What a client may ask of the way its task is done."""

    base: GitRef | None = Field(default=None, description="review: the ref to compare with")
    criteria: Criteria = Field(default=(), description="review: what must hold")
    max_rounds: int = Field(default=MAX_ROUNDS, ge=1, le=MAX_ROUNDS)
    deadline_seconds: int = Field(default=3600, ge=10, le=86_400, description="from acceptance")
    approve: tuple[Gate, ...] = Field(
        default=(), max_length=2, description="wait for an approver: of the design, before the delivery"
    )
    deliver: Delivery | None = Field(default=None, description="feature and fix: push the branch once it has passed")


class SubmitTask(Message):
    """A client's request, accepted by the gateway."""

    type: Literal["submit_task"] = "submit_task"
    task: TaskId
    tenant: Tenant
    principal: str
    request: RequestText
    route: Route | None = None
    project: ProjectSource = NewProject(name="project")
    options: TaskOptions = TaskOptions()
    submitted_at: datetime


class StepRecord(Model):
    """One finished step, for the client's view and the cost table."""

    step: StepId
    agent: Agent
    round: int
    status: ReplyStatus
    summary: str
    engine: str | None
    started_at: datetime
    finished_at: datetime
    cost_usd: float = 0
    model_use: tuple[ModelUse, ...] = Field(default=(), description="what of it went to language models; by model")
    tier: Tier | None = Field(default=None, description="of the language models that it was given; none: it used none")


class Approval(Model):
    """What a task waits for while a gate is shut: a person's word on exactly this."""

    gate: Gate
    digest: Sha256 = Field(description="of the Spec, or of `delivery` as JSON with sorted keys and no blanks")
    expires_at: datetime
    delivery: PlannedDelivery | None = Field(default=None, description="gate deliver: what is pushed, and where")


class PackageState(Model):
    """How far one work package is: waiting for those before it, in flight (`step`), built (`changeset`), merged."""

    id: str
    title: str
    after: tuple[str, ...] = ()
    step: StepId | None = Field(default=None, description="the step that builds it, while it is in flight")
    changeset: Changeset | None = Field(default=None, description="built, not merged yet")
    merged: bool = False
    conflicts: tuple[str, ...] = Field(
        default=(), description="files where former work on it contradicted what was merged; it waits to be done anew"
    )


class TaskState(Message):
    """Admin's whole knowledge of a task after one event; the last one on its subject is the truth.

    `commands` is the outbox of the transition: a crash between recording the state and publishing is mended by
    publishing them again with the same ids.
    """

    type: Literal["task_state"] = "task_state"
    task: TaskId
    tenant: Tenant
    principal: str
    request: str
    project: ProjectSource
    options: TaskOptions
    inputs: tuple[str, ...] = Field(default=(), description="the client's answers to our questions, oldest first")
    route: RouteDecision
    status: TaskStatus
    step: StepId | None = Field(default=None, description="the step in flight; those of work packages stand there")
    steps_commanded: int = 0
    round: int = 0
    reason: str | None = Field(default=None, description="why it stopped, in a sentence")
    imported: ImportedProject | None = None
    spec: SpecWritten | None = None
    packages: tuple[PackageState, ...] = Field(default=(), description="of work that is done in packages")
    changeset: Changeset | None = None
    judgement: Judgement | None = None
    answer: Answer | None = None
    delivered: Delivered | None = None
    question: Question | None = None
    approval: Approval | None = Field(default=None, description="status needs_input: an approver's word is needed")
    problem: Problem | None = None
    signatures: tuple[str, ...] = Field(default=(), description="failure signatures of the rounds so far")
    history: tuple[StepRecord, ...] = ()
    created_at: datetime
    updated_at: datetime
    deadline: datetime
    cause: str = Field(description="ce-id of the event that led to this state")
    applied: tuple[str, ...] = Field(default=(), description="ce-ids of every event applied so far")
    commands: tuple[Command, ...] = ()

    @property
    def in_flight(self) -> tuple[StepId, ...]:
        """Every step whose result the task waits for: several while packages are built side by side."""
        return tuple(step for step in (self.step, *(package.step for package in self.packages)) if step)


class TaskEntry(Message):
    """A row of the read model `tasks`; it can be rebuilt from EVENTS."""

    type: Literal["task_entry"] = "task_entry"
    state: TaskState | None = Field(description="null: accepted, not yet taken up")
    submitted: SubmitTask
    sequence: int = Field(description="stream sequence of the state event; 0 before the first")
