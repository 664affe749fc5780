"""Commands: what admin asks one agent to do. One step each."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field
from worksite.common.messages.artifacts import ArtifactRef
from worksite.common.messages.base import CommitSha, Message, Model, Sha256, StepId, TaskId, Tenant
from worksite.common.messages.replies import Changeset, ImportedProject, Route
from worksite.common.messages.sources import Delivery, GitProject, ProjectName, ProjectSource
from worksite.common.messages.spec import Criterion

Tier = Literal["small", "medium", "large"]
"""Which of the configured models a step is worth."""


class StepCommand(Message):
    """What every command carries."""

    task: TaskId
    tenant: Tenant
    step: StepId
    round: int = Field(ge=0, description="build and validate count rounds from 1; 0 elsewhere")
    deadline: datetime
    tier: Tier | None = Field(default=None, description="of the language model to use, where one is; none: your choice")


class ImportProject(StepCommand):
    type: Literal["import_project"] = "import_project"
    source: ProjectSource
    review_base: str | None = Field(default=None, description="review: compare with this ref")
    review: bool = Field(default=False, description="also emit the Changeset that is to be judged")
    delivery: Delivery | None = Field(
        default=None, description="planned for what passes; said before any work where it cannot be done"
    )


class DesignSpec(StepCommand):
    type: Literal["design_spec"] = "design_spec"
    request: str
    route: Route
    project: ImportedProject
    criteria: tuple[Criterion, ...] = Field(default=(), description="review: given by the client")
    may_split: bool = Field(default=False, description="the work may be planned as packages for several builders")
    inputs: tuple[str, ...] = Field(default=(), description="the client's answers to our questions, oldest first")
    project_name: ProjectName | None = Field(default=None, description="the client's name for a new project")


class PackageWork(Model):
    """What came of one work package."""

    package: str
    changeset: Changeset


class BuildChange(StepCommand):
    """Asks for the work of a round, of one work package, or for packages to be merged (`parts`) in their order; one
    that conflicts with what was merged before it stays out, and the Changeset names it."""

    type: Literal["build_change"] = "build_change"
    spec: ArtifactRef
    project: ImportedProject
    report: ArtifactRef | None = Field(default=None, description="the last round's findings")
    previous: Changeset | None = Field(default=None, description="the last round's work, or the packages merged so far")
    package: str | None = Field(default=None, description="build this work package alone; none: all of the Spec")
    parts: tuple[PackageWork, ...] = Field(default=(), max_length=8, description="merge these instead of building")
    conflicts: tuple[str, ...] = Field(
        default=(), description="files where former work on the package contradicted `previous`: it is done anew"
    )


class ValidateChange(StepCommand):
    type: Literal["validate_change"] = "validate_change"
    spec: ArtifactRef
    project: ImportedProject
    changeset: Changeset


class AnswerQuestion(StepCommand):
    type: Literal["answer_question"] = "answer_question"
    request: str
    inputs: tuple[str, ...] = Field(default=(), description="the client's answers to our questions, oldest first")


class PlannedDelivery(Model):
    """All that a delivery does outside: what an approver's word on it allows."""

    remote: str | None = Field(description="the git repository that is pushed to")
    branch: str = Field(description="that is made there")
    head_sha: CommitSha = Field(description="the commit that it is made at")
    base_sha: CommitSha
    bundle: Sha256 = Field(description="of the file that the commits are taken from, the artifact `branch.bundle`")
    merge_request: bool = Field(description="is one opened?")
    title: str | None = Field(description="of the merge request; null: the task's id")
    into: str | None = Field(
        description="the merge request goes into this branch of the remote; where it has none, into its default one"
    )


class DeliverBranch(StepCommand):
    type: Literal["deliver_branch"] = "deliver_branch"
    source: ProjectSource
    changeset: Changeset
    delivery: Delivery = Delivery()
    title: str | None = Field(default=None, description="of the merge request: the Spec's")

    @property
    def planned(self) -> PlannedDelivery:
        """What comes of it: an approver is shown this, and the builder does this."""
        cloned = self.source if isinstance(self.source, GitProject) else None
        return PlannedDelivery(
            remote=self.delivery.push.url or (cloned and cloned.git_url),
            branch=self.delivery.push.branch or self.changeset.branch,
            head_sha=self.changeset.head_sha,
            base_sha=self.changeset.base_sha,
            bundle=self.changeset.bundle.sha256,
            merge_request=self.delivery.merge_request,
            title=self.title,
            into=cloned and cloned.ref,
        )


Command = Annotated[
    ImportProject | DesignSpec | BuildChange | ValidateChange | AnswerQuestion | DeliverBranch,
    Field(discriminator="type"),
]
