"""Where the project of a task comes from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from worksite.common.messages.base import Model

ProjectName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
GitUrl = Annotated[str, StringConstraints(pattern=r"^(https?|ssh|git|file)://[^\s\x00-\x1f]+$", max_length=2000)]
GitRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}$")]


class NewProject(Model):
    """A new and empty repository."""

    kind: Literal["new"] = "new"
    name: ProjectName = "project"


class GitProject(Model):
    """A repository that the builder clones. Credentials never belong in the URL."""

    kind: Literal["git"] = "git"
    git_url: GitUrl
    ref: GitRef | None = Field(default=None, description="branch, tag or commit; default: the remote's default branch")


ProjectSource = Annotated[NewProject | GitProject, Field(discriminator="kind")]
