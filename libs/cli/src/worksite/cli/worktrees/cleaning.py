"""Take worktrees away without losing what was done in them, and what killed commands have left.

A worktree that goes is renamed first, once everything in it is committed. What has that name is litter, whoever was
killed after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from worksite.cli.repository.git import Git, RepositoryError
from worksite.cli.repository.operations import underway
from worksite.cli.worktrees import origins
from worksite.cli.worktrees.home import HEADS, Entry, Home, branch_of
from worksite.cli.worktrees.listing import STATUS, is_whole
from worksite.cli.worktrees.locks import locked, somebody_is_inside
from worksite.cli.worktrees.origins import Base

MESSAGE = "Work in progress, kept by worksite worktrees clean"
_NOBODY = ("user.name=Worksite", "user.email=worksite@localhost")
_GOING = ".going-"
_HIDDEN_FROM_GIT = "S"
"""As `git ls-files -v` marks skip-worktree; small letters are assume-unchanged."""


@dataclass(frozen=True)
class Cleaned:
    """What became of one worktree, in words. `gone` False: it was left as it is."""

    role: str
    gone: bool
    said: str


async def clean(home: Home) -> list[Cleaned]:
    """One after the other; one that cannot go keeps none of the others."""
    with home.to_itself() as home:
        await collect(home)
        cleaned = [await _clean(home, role, entry) for role, entry in (await home.entries()).items()]
        await asyncio.to_thread(_remove_if_empty, home.folder)
    return cleaned


async def collect(home: Home) -> None:
    """Take away what killed commands have left, and entries whose folder somebody has removed."""
    for litter in home.folder.glob(f"{_GOING}*"):
        await asyncio.to_thread(shutil.rmtree, litter)
    for entry in (await home.entries()).values():
        if entry.unfinished or not entry.path.exists():
            await _remove(home, entry.path)


async def _clean(home: Home, role: str, entry: Entry) -> Cleaned:
    if not is_whole(entry):
        return Cleaned(role, False, f"{entry.path} has lost its .git: 'git worktree repair' in {home.top} mends it")
    with locked(entry.path) as ours:
        if ours is None or await asyncio.to_thread(somebody_is_inside, entry.path):
            return Cleaned(role, False, "in use, left as it is")
        try:
            return Cleaned(role, True, await _Leaving(home, role, entry).go())
        except RepositoryError as error:
            return Cleaned(role, False, f"left as it is: {error}")


@dataclass(frozen=True)
class _Leaving:
    """A worktree that nobody works in, and nobody can begin to."""

    home: Home
    role: str
    entry: Entry

    async def go(self) -> str:
        """Raises RepositoryError; then it is as it was, but for a commit of what was not committed."""
        await self._check_that_all_can_be_kept()
        committed = await self._commit()
        head = (await self._git("rev-parse", "HEAD")).strip()
        where = await self._named(head)
        base = await origins.remembered(self._git)
        await _remove(self.home, self.entry.path)
        if base and await self._forget_branch(base):
            return "gone; nothing was done there"
        kept = f"{committed} uncommitted paths committed, " if committed else ""
        return f"gone; {kept}all is on {where} at {head[:12]}"

    @property
    def _git(self) -> Git:
        return self.home.at(self.entry.path)

    async def _check_that_all_can_be_kept(self) -> None:
        if self.entry.locked is not None:
            raise RepositoryError(f"'git worktree lock' holds it{self.entry.locked and f' ({self.entry.locked})'}")
        if operation := await underway(self._git):
            raise RepositoryError(f"it is in the middle of {operation}: end it first")
        if inner := await asyncio.to_thread(lambda: next(_repositories_below(self.entry.path), None)):
            raise RepositoryError(f"{inner} is a repository of its own, which no commit of ours holds: move it first")
        marked = await self._git.lines("ls-files", "-v", "-z")
        hidden = [line[2:] for line in marked if line[0].islower() or line[0] == _HIDDEN_FROM_GIT]
        if found := [name for name in hidden if (self.entry.path / name).exists()]:
            raise RepositoryError(f"{found[0]} is hidden from git (skip-worktree, assume-unchanged): show it first")

    async def _commit(self) -> int:
        """How many paths were not committed before."""
        changed = await self._git.lines(*STATUS)
        if not changed:
            return 0
        known = await self._git.agrees("var", "GIT_COMMITTER_IDENT")
        git = self._git if known else replace(self._git, settings=_NOBODY)
        await git("add", "--all")
        await git("commit", "--quiet", "--no-verify", "--no-gpg-sign", "--allow-empty-message", "-m", MESSAGE)
        if await git.lines(*STATUS):
            raise RepositoryError("it changes while it is being cleaned: somebody is at work there")
        return len(changed)

    async def _named(self, head: str) -> str:
        """The branch that holds the head; a head that no branch or tag holds gets one, for git would forget it."""
        if self.entry.branch:
            return self.entry.branch
        holders = ("refs/heads", "refs/tags", "refs/remotes")
        held = await self._git.lines("for-each-ref", "--contains", head, "--format=%(refname:short)", *holders)
        if held:
            return held[0]
        branch = f"worksite/{self.role}-{head[:12]}"
        await self._git("branch", "--no-track", branch, head)
        return branch

    async def _forget_branch(self, base: Base) -> bool:
        """Of a worktree in which nothing was committed: its branch would only be in the way of the next start."""
        branch = HEADS + branch_of(self.role)
        if await self.home.git.says("rev-parse", "--verify", "--quiet", branch) != base.commit:
            return False
        await self.home.git("update-ref", "-d", branch, base.commit)
        return self.entry.branch == branch_of(self.role)


async def _remove(home: Home, place: Path) -> None:
    going = place.with_name(f"{_GOING}{place.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        place.rename(going)  # noqa: ASYNC240  one system call
    await home.git("worktree", "remove", "--force", "--force", place)
    await asyncio.to_thread(shutil.rmtree, going, ignore_errors=True)


def _repositories_below(folder: Path) -> Iterator[Path]:
    """Submodules that were checked out, and clones."""
    for parent, folders, files in os.walk(folder):
        if Path(parent) != folder and ".git" in (*folders, *files):
            yield Path(parent)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
