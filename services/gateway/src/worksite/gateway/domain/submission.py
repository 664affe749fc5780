"""What a client sends to submit a task, and the command it becomes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator
from worksite.common.messages import ApprovalGiven, Gate, GitProject, Model, NewProject, Route, SubmitTask, TaskOptions
from worksite.common.messages.base import PLAIN, Sha256
from worksite.common.messages.sources import GitRef, GitUrl, ProjectName, ProjectSource
from worksite.common.messages.tasks import RequestText
from worksite.gateway.domain.uploads import Upload


class Project(Model):
    """Where the work happens: `{name}`, new and empty, `{git_url, ref?}`, which the builder clones, or
    `{upload, name?, ref?}`, an archive that was uploaded before."""

    name: ProjectName | None = Field(
        default=None,
        description="of a new and empty repository, default: project; with upload: the same for all of one project",
    )
    git_url: GitUrl | None = Field(default=None, description="where to clone from; never with credentials in it")
    upload: Sha256 | None = Field(default=None, description="id of an upload: a git bundle, or an archive of files")
    ref: GitRef | None = Field(default=None, description="branch, tag or commit; default: where HEAD points")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.git_url is not None and (self.name is not None or self.upload is not None):
            raise ValueError("give one of git_url (an existing repository), name (a new one) and upload (with a name)")
        if self.ref is not None and self.git_url is None and self.upload is None:
            raise ValueError("ref needs git_url or upload")
        return self

    def source(self, upload: Upload | None = None) -> ProjectSource:
        """The same as the bus names it; `upload` is what is known of the upload that is named, if one is."""
        if upload is not None:
            return upload.project(self.name, self.ref)
        if self.git_url is not None:
            return GitProject(git_url=self.git_url, ref=self.ref)
        return NewProject(name=self.name or "project")


class NewTask(Model):
    """The body of `POST /v1/tasks`."""

    request: RequestText = Field(description="what is wanted, in plain words", examples=["Create auth system"])
    route: Route | None = Field(default=None, description="default: the admin service decides")
    project: Project = Project()
    options: TaskOptions = TaskOptions()

    @field_validator("options")
    @classmethod
    def _honoured(cls, options: TaskOptions, others: ValidationInfo) -> TaskOptions:
        route = others.data.get("route")
        if route not in (None, "review") and (options.base is not None or options.criteria):
            raise ValueError(
                f"base and criteria belong to route review, not to {route}: put them into the request's words"
            )
        return options

    @field_validator("options")
    @classmethod
    def _gates_are_reached(cls, options: TaskOptions, others: ValidationInfo) -> TaskOptions:
        if "deliver" in options.approve and options.deliver is None:
            raise ValueError("approve: deliver needs the option deliver, or nobody would ever be asked")
        if options.approve and others.data.get("route") == "question":
            raise ValueError("approve: route question has no design to approve")
        return options

    @field_validator("options")
    @classmethod
    def _can_be_delivered(cls, options: TaskOptions, others: ValidationInfo) -> TaskOptions:
        route, project = others.data.get("route"), others.data.get("project")
        if options.deliver is None:
            return options
        if route not in (None, "feature", "fix"):
            raise ValueError(f"deliver: route {route} makes no branch that could be delivered")
        if project and project.git_url is None and options.deliver.push.url is None:
            raise ValueError("deliver: say where to, as push.url: the project has no git_url")
        return options

    def command(
        self, task: str, tenant: str, principal: str, submitted_at: datetime, upload: Upload | None = None
    ) -> SubmitTask:
        """The message that goes to the bus."""
        return SubmitTask(
            task=task,
            tenant=tenant,
            principal=principal,
            request=self.request,
            route=self.route,
            project=self.project.source(upload),
            options=self.options,
            submitted_at=submitted_at,
        )


class TaskInput(Model):
    """The body of `POST /v1/tasks/{id}/input`."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), PLAIN] = Field(
        description="the answer to the task's question"
    )
    route: Route | None = Field(default=None, description="start again along this route, with the answer")


class ApprovalWord(Model):
    """The body of `POST /v1/tasks/{id}/approval`."""

    gate: Gate
    approved: bool = Field(description="false ends the task")
    digest: Sha256 = Field(description="of what is approved, as the task's `approval` names it")
    comment: Annotated[str, Field(max_length=500), PLAIN] = Field(default="", description="for the record")

    def event(self, task: str, tenant: str, principal: str, expires_at: datetime) -> ApprovalGiven:
        """The event that goes to the bus."""
        word = self.model_dump()
        return ApprovalGiven(task=task, tenant=tenant, principal=principal, expires_at=expires_at, **word)


class Cancellation(Model):
    """The body of `POST /v1/tasks/{id}/cancel`."""

    reason: Annotated[str, Field(max_length=500), PLAIN] = Field(default="", description="for the record")
