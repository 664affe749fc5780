"""Who commits, and when: fixed, so that a replayed step makes the same commit."""

from __future__ import annotations

from worksite.builder.domain.inert import inert

NAME, EMAIL = "Worksite", "worksite@localhost"
ROOT_SECONDS = 946_684_800
"""2000-01-01 UTC: the date of the root commit of every new project."""
ROOT_MESSAGE = "Start of the project\n"


def identity(seconds: int) -> dict[str, str]:
    """Author and committer as git takes them from its environment; the date in seconds since 1970, UTC."""
    date = f"@{seconds} +0000"
    who = {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in _PARTS}
    return who | {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}


def task_seconds(task: str) -> int:
    """When the task was submitted: a task id is a UUIDv7, whose first 48 bits count milliseconds (RFC 9562)."""
    return int(task[:12], 16) // 1000


def branch_of(task: str) -> str:
    """The branch that a task's work is committed on."""
    return f"worksite/{task}"


def commit_message(title: str, engine: str, task: str, spec_sha256: str) -> str:
    """Subject, what made it, and trailers that lead back to task and Spec.

    What has been pushed is read by the forge, so the subject holds nothing to obey.
    """
    subject = inert(" ".join(title.split()))[:72] or "Build"
    return f"{subject}\n\nMade by {engine}.\n\nWorksite-Task: {task}\nWorksite-Spec: {spec_sha256}\n"


_PARTS = (("NAME", NAME), ("EMAIL", EMAIL))
