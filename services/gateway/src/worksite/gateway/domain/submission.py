"""What a client sends to submit a task, and the command it becomes."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from worksite.common.messages import GitProject, Model, NewProject, Route, SubmitTask, TaskOptions
from worksite.common.messages.base import PLAIN
from worksite.common.messages.sources import GitRef, GitUrl, ProjectName
from worksite.common.messages.tasks import RequestText


class Project(Model):
    """Where the work happens: `{name}`, new and empty, or `{git_url, ref?}`, which the builder clones."""

    name: ProjectName | None = Field(default=None, description="of a new and empty repository; default: project")
    git_url: GitUrl | None = Field(default=None, description="where to clone from; never with credentials in it")
    ref: GitRef | None = Field(default=None, description="branch, tag or commit; default: the remote's default branch")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.name is not None and self.git_url is not None:
            raise ValueError("give name for a new repository or git_url for an existing one, not both")
        if self.ref is not None and self.git_url is None:
            raise ValueError("ref needs git_url")
        return self

    def source(self) -> NewProject | GitProject:
        """The same as the bus names it."""
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

    def command(self, task: str, tenant: str, principal: str, submitted_at: datetime) -> SubmitTask:
        """The message that goes to the bus."""
        return SubmitTask(
            task=task,
            tenant=tenant,
            principal=principal,
            request=self.request,
            route=self.route,
            project=self.project.source(),
            options=self.options,
            submitted_at=submitted_at,
        )


class Cancellation(Model):
    """The body of `POST /v1/tasks/{id}/cancel`."""

    reason: Annotated[str, Field(max_length=500), PLAIN] = Field(default="", description="for the record")
