"""What a finished task leaves in `out/<task>/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from worksite.cli.client import verdict
from worksite.cli.client.gateway import Gateway
from worksite.cli.repository.git import Git, GitFailed

_BUNDLE, _PROJECT = "branch.bundle", "project"


async def write(gateway: Gateway, view: dict[str, Any], directory: Path) -> tuple[Path, str | None]:
    """Fetch every artifact the task has and check its branch out; returns the directory, and what went wrong."""
    target = directory / str(view["id"])
    target.mkdir(parents=True, exist_ok=True)
    for name in view["artifacts"]:
        (target / name).write_bytes(await gateway.artifact(str(view["id"]), name))
    (target / verdict.NEEDS_INPUT).unlink(missing_ok=True)  # of a question that was answered since
    for name, text in verdict.documents(view).items():
        (target / name).write_text(text)
    return target, await check_out(target) if _BUNDLE in view["artifacts"] else None


async def check_out(target: Path) -> str | None:
    """Clone the bundle in `target` at its branch; returns the reason where that is not possible.

    Hooks do not travel in bundles, and filters that the repository asks for are not configured here.
    """
    git, project = Git(target), Git(target / _PROJECT)
    try:
        if project.directory.exists():
            return await _outdated(git, project)
        await git("clone", "--quiet", _BUNDLE, _PROJECT)
        await project("remote", "remove", "origin")
    except (OSError, GitFailed) as error:
        return str(error)
    return None


async def _outdated(git: Git, project: Git) -> str | None:
    """What somebody may have worked on since is not replaced."""
    heads = await git.lines("bundle", "list-heads", _BUNDLE, "HEAD")
    commit = heads[0].split()[0] if heads else None
    if commit is None or await project.agrees("merge-base", "--is-ancestor", commit, "HEAD"):
        return None
    return f"{_PROJECT}/ is of an earlier round and was left as it is"
