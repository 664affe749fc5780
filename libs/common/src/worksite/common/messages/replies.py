"""What an agent answers: `{action, agent, status, data}`, with `data` typed by its `type` tag."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from worksite.common.messages.artifacts import ArtifactRef
from worksite.common.messages.base import CommitSha, Model, Sha256
from worksite.common.messages.journal import ModelUse
from worksite.common.messages.report import Verdict

Action = Literal["design", "build", "validate", "answer", "route", "import", "deliver"]
Agent = Literal["admin", "architect", "builder", "validator"]
ReplyStatus = Literal["ok", "needs_input", "refused", "failed"]
"""Could the agent do its job? A FAIL verdict is an `ok` reply."""
Route = Literal["feature", "fix", "review", "design", "question"]
RouteStage = Literal["explicit", "rules", "classifier", "model", "default"]
"""Of the cascade that chooses a route, cheapest first."""
Difficulty = Literal["easy", "medium", "hard"]
Gate = Literal["design", "deliver"]
"""What a person may have to approve before the task goes on."""


class ImportedProject(Model):
    """The project as the task found it: a full bundle that every later step starts from."""

    type: Literal["imported_project"] = "imported_project"
    base_sha: CommitSha
    bundle: ArtifactRef
    empty: bool = Field(description="the base is our deterministic root commit, with no files")
    changeset: Changeset | None = Field(default=None, description="only on route review: what is to be judged")


class PackageOutline(Model):
    """As much of a work package as orchestration needs; the rest stands in the Spec."""

    id: str = Field(max_length=80)
    title: str = Field(max_length=120)
    after: tuple[str, ...] = ()


class PackageConflict(Model):
    """A work package that could not be merged: its work stays out and has to be done anew on what was merged."""

    package: str
    files: tuple[str, ...] = Field(default=(), max_length=20, description="where it contradicts what was merged before")


class SpecWritten(Model):
    type: Literal["spec_written"] = "spec_written"
    spec: ArtifactRef
    document: ArtifactRef = Field(description="the same for people, Markdown")
    title: str
    engine: str
    criteria: int
    packages: tuple[PackageOutline, ...] = Field(default=(), max_length=8, description="in the order of merging")
    loosens: tuple[str, ...] = Field(
        default=(), max_length=10, description="the first of those that the Spec names; with any, an approver is asked"
    )


class Changeset(Model):
    """One round's work as commits: everything between base and head is in the bundle."""

    type: Literal["changeset"] = "changeset"
    base_sha: CommitSha
    head_sha: CommitSha
    branch: str
    bundle: ArtifactRef
    archive: ArtifactRef = Field(description="the tree at head, zipped, without .git")
    patch: ArtifactRef | None = Field(
        default=None, description="the commits from base to head for `git am --keep-cr`; null: not as patches"
    )
    summary: str
    engine: str
    files_changed: int
    conflicts: tuple[PackageConflict, ...] = Field(default=(), description="of a merge: what is not part of it")


class Judgement(Model):
    type: Literal["judgement"] = "judgement"
    verdict: Verdict
    report: ArtifactRef
    document: ArtifactRef = Field(description="the same for people, Markdown")
    summary: str
    engine: str
    failure_signature: Sha256 | None = None


class Citation(Model):
    path: str
    start_line: int
    end_line: int
    text: str


class Answer(Model):
    type: Literal["answer"] = "answer"
    text: str
    citations: tuple[Citation, ...]
    engine: str


class Delivered(Model):
    type: Literal["delivered"] = "delivered"
    remote: str
    branch: str
    head_sha: CommitSha
    merge_request: str | None = Field(default=None, description="its address")
    merge_request_state: Literal["opened", "merged", "closed"] | None = Field(
        default=None, description="merged or closed: by somebody, since it was opened; it is not opened again"
    )


class RouteDecision(Model):
    """Which steps the task takes and how hard they are, and which stage of the cascade decided it."""

    type: Literal["route_decision"] = "route_decision"
    route: Route
    stage: RouteStage
    reason: str
    confidence: float = Field(ge=0, le=1)
    latency_ms: float
    cost_usd: float = 0
    difficulty: Difficulty | None = Field(default=None, description="decides which models the steps get; none: unknown")
    model_use: tuple[ModelUse, ...] = Field(default=(), description="what it cost of language models; by model")


class Question(Model):
    """Why the task cannot go on alone: what is covered, what is not, and what would help."""

    type: Literal["question"] = "question"
    reason: str
    covered: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    hint: str


class Problem(Model):
    """Why an agent refused or failed, in words a client can act on."""

    type: Literal["problem"] = "problem"
    code: str
    detail: str


ReplyData = Annotated[
    ImportedProject | SpecWritten | Changeset | Judgement | Answer | Delivered | RouteDecision | Question | Problem,
    Field(discriminator="type"),
]


class AgentReply(Model):
    """The four fields of every agent's answer, a model's included."""

    action: Action
    agent: Agent
    status: ReplyStatus
    data: ReplyData


ImportedProject.model_rebuild()
