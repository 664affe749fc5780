"""What is in each worktree that is not elsewhere, and whether somebody is at work there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from worksite.cli.repository.git import Git
from worksite.cli.worktrees import origins
from worksite.cli.worktrees.home import HEADS, Entry, Home
from worksite.cli.worktrees.locks import locked, somebody_is_inside
from worksite.cli.worktrees.origins import Base

STATUS = ("status", "--porcelain", "--no-renames", "--untracked-files=all", "-z")
"""Whatever the repository's configuration says, new files count."""


@dataclass(frozen=True)
class Worktree:
    """One worktree as it is now. `behind`: commits that the branch it was cut from has since got."""

    role: str
    entry: Entry
    base: Base | None
    uncommitted: int
    ahead: int
    behind: int
    live: bool

    @property
    def state(self) -> str:
        """In words."""
        words = [f"{self.uncommitted} uncommitted" if self.uncommitted else "clean", f"{self.ahead} ahead"]
        if self.base and self.base.branch:
            words.append(f"{self.behind} behind {self.base.branch}")
        return ", ".join([*words, "in use"] if self.live else words)


async def worktrees(home: Home) -> list[Worktree | Entry]:
    """All that are registered, in the order of their roles; as an Entry what is no usable worktree."""
    return [entry if entry.trouble else await _worktree(role, entry) for role, entry in (await home.entries()).items()]


def is_live(folder: Path) -> bool:
    """Does somebody hold its lock, or is there?"""
    with locked(folder) as ours:
        return ours is None or somebody_is_inside(folder)


async def _worktree(role: str, entry: Entry) -> Worktree:
    git, base = Git(entry.path), await origins.remembered(Git(entry.path))
    return Worktree(
        role=role,
        entry=entry,
        base=base,
        uncommitted=len(await git.lines(*STATUS)),
        ahead=await _count(git, f"{base.commit}..HEAD") if base else 0,
        behind=await _count(git, f"HEAD..{HEADS}{base.branch}") if base and base.branch else 0,
        live=await asyncio.to_thread(is_live, entry.path),
    )


async def _count(git: Git, commits: str) -> int:
    """0 where one end is gone, a branch that was deleted for one."""
    return int(await git.says("rev-list", "--count", commits) or 0)
