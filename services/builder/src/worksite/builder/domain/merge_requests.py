"""What a merge request says, and which of those at the forge is a task's.

GitLab runs commands and calls people that a description names: so nothing there is free text of a model or of the work
itself, but for one line that is shown as code, and in it is nothing to obey.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel
from worksite.builder.domain.inert import inert
from worksite.builder.domain.redaction import presentable
from worksite.builder.domain.urls import below, place_of
from worksite.common.messages import Changeset

_MAX_TITLE_CHARACTERS = 255


@dataclass(frozen=True)
class MergeRequest:
    """From a branch that is there into another one."""

    task: str
    source: str
    target: str
    head: str
    title: str
    description: str


class Shown(BaseModel):
    """A merge request as GitLab shows it; `sha` is the head that it has seen, null until it has looked."""

    web_url: str
    state: Literal["opened", "locked", "merged", "closed"]
    source_project_id: int | None
    target_project_id: int
    source_branch: str
    target_branch: str
    sha: str | None = None
    description: str | None = None

    @property
    def of_a_fork(self) -> bool:
        """Or of a project that is gone."""
        return self.source_project_id != self.target_project_id

    def is_marked(self, task: str) -> bool:
        """Was it opened for the task?"""
        return marker(task) in (self.description or "")

    def brings(self, head: str) -> bool:
        """Is a commit what it is about?"""
        return self.sha == head or (self.sha is None and self.state == "opened")


_STATES = ("opened", "locked", "merged", "closed")


def merge_request(changeset: Changeset, branch: str, target: str, title: str | None, task: str) -> MergeRequest:
    """For what has passed."""
    return MergeRequest(
        task=task,
        source=branch,
        target=target,
        head=changeset.head_sha,
        title=inert(presentable(title or f"Worksite task {task}"))[:_MAX_TITLE_CHARACTERS],
        description=_description(changeset, task),
    )


def _description(changeset: Changeset, task: str) -> str:
    summary = inert(presentable(changeset.summary)).replace("`", "'")
    return (
        f"Made by `{changeset.engine}` for task `{task}`; its Report says PASS.\n\n"
        f"- `{summary}`\n- from `{changeset.base_sha}` to `{changeset.head_sha}`\n\n{marker(task)}\n"
    )


def marker(task: str) -> str:
    """In the description, where people do not see it and hardly take it out."""
    return f"<!-- worksite-task: {task} -->"


def ours(there: Sequence[Shown], wanted: MergeRequest) -> Shown | None:
    """The one that bears the task's mark, whatever people have made of its title, target and state; else one that is
    open on the same branches, or has brought the very commit.

    A branch of a fork may have any name: its merge requests are somebody else's.
    """
    own = [one for one in there if one.source_branch == wanted.source and not one.of_a_fork]
    marked = [one for one in own if one.is_marked(wanted.task)]
    alike = [one for one in own if one.target_branch == wanted.target and one.brings(wanted.head)]
    return min(marked or alike, key=lambda one: _STATES.index(one.state), default=None)


def project_of(url: str, api: str) -> str | None:
    """The path of a project at GitLab, from the URL of its repository; None where the API is not that of this host."""
    root = place_of(api.removesuffix("/api/v4"))
    path = below(root, url) if root else None
    return "/".join(path).removesuffix(".git") if path else None
