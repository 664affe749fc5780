"""What a merge request says, and which of those at the forge is a task's.

GitLab runs commands and calls people that a description names: so nothing there is free text of a model or of the work
itself, but for one line that is shown as code, and in it is nothing to obey.
"""

from __future__ import annotations

from dataclasses import dataclass

from worksite.builder.domain.inert import inert
from worksite.builder.domain.redaction import presentable
from worksite.builder.domain.urls import below, place_of
from worksite.common.messages import Changeset

_MAX_TITLE_CHARACTERS = 255


@dataclass(frozen=True)
class MergeRequest:
    """From a branch that is there into another one."""

    source: str
    target: str
    head: str
    title: str
    description: str


def merge_request(changeset: Changeset, branch: str, target: str, title: str | None, task: str) -> MergeRequest:
    """For what has passed."""
    return MergeRequest(
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
        f"- `{summary}`\n- from `{changeset.base_sha}` to `{changeset.head_sha}`\n"
    )


def project_of(url: str, api: str) -> str | None:
    """The path of a project at GitLab, from the URL of its repository; None where the API is not that of this host."""
    root = place_of(api.removesuffix("/api/v4"))
    path = below(root, url) if root else None
    return "/".join(path).removesuffix(".git") if path else None
