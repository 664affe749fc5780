"""The commit that a worktree was cut from, kept by git itself: in refs of that worktree, which end with it."""

from __future__ import annotations

from dataclasses import dataclass

from worksite.cli.repository.git import Git, RepositoryError
from worksite.cli.worktrees.home import HEADS, Home

_BASE, _SOURCE = "refs/worktree/worksite-base", "refs/worktree/worksite-source"


@dataclass(frozen=True)
class Base:
    """A commit, and the local branch that it was the head of, if one."""

    commit: str
    branch: str | None = None

    def __str__(self) -> str:
        return f"{self.commit[:12]} ({self.branch})" if self.branch else self.commit[:12]


async def chosen(home: Home, named: str | None) -> Base:
    """What is checked out, or what is named. Raises RepositoryError where that is stale or nothing.

    A branch that lacks commits of its upstream, as it was last fetched, would make everybody begin with old work. A
    commit that is named by its id is what is meant.
    """
    name = named or "HEAD"
    commit = await home.git.says("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit is None:
        raise RepositoryError(f"{named!r} names no commit" if named else f"{home.top} has no commit yet")
    full = await home.git.says("rev-parse", "--verify", "--quiet", "--symbolic-full-name", "--end-of-options", name)
    if full is None or not full.startswith(HEADS):
        return Base(commit)
    await _refuse_stale(home, full)
    return Base(commit, full.removeprefix(HEADS))


async def _refuse_stale(home: Home, branch: str) -> None:
    upstream = await home.git.says("for-each-ref", "--format=%(upstream)", branch)
    missing = await home.git.says("rev-list", "--count", f"{branch}..{upstream}") if upstream else None
    if missing and missing != "0":
        name, theirs = branch.removeprefix(HEADS), (upstream or "").removeprefix("refs/remotes/").removeprefix(HEADS)
        raise RepositoryError(
            f"{name} lacks {missing} commits of {theirs}: bring it up to date, or name the commit you want with --base"
        )


async def remember(worktree: Git, base: Base) -> None:
    """Raises GitFailed."""
    await worktree("update-ref", _BASE, base.commit)
    if base.branch:
        await worktree("symbolic-ref", _SOURCE, HEADS + base.branch)


async def remembered(worktree: Git) -> Base | None:
    """None where nobody has remembered it: 'worksite worktrees start' was killed, or has not made it."""
    commit = await worktree.says("rev-parse", "--verify", "--quiet", _BASE)
    source = await worktree.says("symbolic-ref", "--quiet", _SOURCE)
    return Base(commit, source.removeprefix(HEADS) if source else None) if commit else None
