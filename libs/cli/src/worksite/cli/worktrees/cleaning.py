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
from worksite.cli.worktrees.listing import STATUS, is_live
from worksite.cli.worktrees.locks import locked, somebody_is_inside
from worksite.cli.worktrees.origins import Base

MESSAGE = "Work in progress, kept by worksite worktrees clean"
STAGED_MESSAGE = "Staged work, kept by worksite worktrees clean"
_NOBODY = ("user.name=Worksite", "user.email=worksite@localhost")
_COMMIT = ("commit", "--quiet", "--no-verify", "--no-gpg-sign")
_IGNORED = ("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "--no-empty-directory", "-z")
_SHOWN = 3
_GOING = ".going-"
_HIDDEN_FROM_GIT = "S"
"""As `git ls-files -v` marks skip-worktree; small letters are assume-unchanged."""


@dataclass(frozen=True)
class Cleaned:
    """What became of one worktree, in words. `gone` False: it was left as it is."""

    role: str
    gone: bool
    said: str


async def clean(home: Home, discard_ignored: bool = False) -> list[Cleaned]:
    """One after the other; one that cannot go keeps none of the others."""
    with home.to_itself() as home:
        cleaned = [Cleaned("", False, left) for left in await collect(home)]
        for role, entry in (await home.entries()).items():
            cleaned.append(await _clean(home, role, entry, discard_ignored))
        for role, path in (await home.elsewhere()).items():
            if path == home.top:
                continue
            cleaned.append(Cleaned(role, False, f"moved to {path}, left as it is: 'git worktree remove' takes it away"))
        await asyncio.to_thread(_remove_if_empty, home.folder)
    return cleaned


async def collect(home: Home) -> list[str]:
    """Take away what killed commands of ours have left; what of it cannot go, in words.

    A folder that is missing may have been moved, or be on a disk that is: only where we had renamed it, it was us.
    """
    left: list[str | None] = []
    for role, entry in (await home.entries()).items():
        renamed = not entry.path.exists() and any(home.folder.glob(f"{_GOING}{role}-*"))
        if entry.unfinished or renamed:
            left.append(await _collected(home, entry))
    for litter in sorted(home.folder.glob(f"{_GOING}*")):
        left.append(await asyncio.to_thread(_delete, litter))
    return [said for said in left if said]


async def _collected(home: Home, entry: Entry) -> str | None:
    try:
        if entry.path.exists() and await asyncio.to_thread(is_live, entry.path):
            return f"{entry.path} is incomplete, and somebody is in it"
        return await _remove(home, entry.path)
    except (RepositoryError, OSError) as error:
        return f"{entry.path} is incomplete, and cannot be removed ({error})"


async def _clean(home: Home, role: str, entry: Entry, discard_ignored: bool) -> Cleaned:
    if entry.trouble:
        return Cleaned(role, False, entry.trouble)
    try:
        with locked(entry.path) as ours:
            if ours is None or await asyncio.to_thread(somebody_is_inside, entry.path):
                return Cleaned(role, False, "in use, left as it is")
            return Cleaned(role, True, await _Leaving(home, role, entry, discard_ignored).go())
    except (RepositoryError, OSError) as error:
        return Cleaned(role, False, f"left as it is: {error}")


@dataclass(frozen=True)
class _Leaving:
    """A worktree that nobody works in, and nobody can begin to."""

    home: Home
    role: str
    entry: Entry
    discard_ignored: bool

    async def go(self) -> str:
        """Raises RepositoryError and OSError; then it is as it was, but for commits of what was not committed."""
        await self._check_that_all_can_be_kept()
        committed = await self._commit()
        head = (await self._git("rev-parse", "HEAD")).strip()
        where = await self._named(head)
        base = await origins.remembered(self._git)
        left = await _remove(self.home, self.entry.path)
        also = f"; {left}" if left else ""
        if base and await self._forget_branch(base):
            return f"gone; nothing was done there{also}"
        paths = "path" if committed == 1 else "paths"
        kept = f"{committed} uncommitted {paths} committed, " if committed else ""
        return f"gone; {kept}all is on {where} at {head[:12]}{also}"

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
        if not self.discard_ignored and (ignored := await self._git.lines(*_IGNORED)):
            some = ", ".join(ignored[:_SHOWN]) + (", …" if len(ignored) > _SHOWN else "")
            raise RepositoryError(f"ignored files are in no commit ({some}): --discard-ignored lets them go")

    async def _commit(self) -> int:
        """How many paths were not committed before. What is staged and was changed since is a commit of its own."""
        changed = await self._git.lines(*STATUS)
        if not changed:
            return 0
        known = await self._git.agrees("var", "GIT_COMMITTER_IDENT")
        git = self._git if known else replace(self._git, settings=_NOBODY)
        if any(line[0] not in " ?" and line[1] != " " for line in changed):
            await git(*_COMMIT, "-m", STAGED_MESSAGE)
        await git("add", "--all")
        await git(*_COMMIT, "-m", MESSAGE)
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


async def _remove(home: Home, place: Path) -> str | None:
    """What of its folder is left, in words. Raises RepositoryError and OSError; then it is where it was."""
    going = place.with_name(f"{_GOING}{place.name}-{secrets.token_hex(4)}")
    with contextlib.suppress(FileNotFoundError):
        place.rename(going)  # noqa: ASYNC240  one system call
    try:
        await home.git("worktree", "remove", "--force", "--force", place)
    except RepositoryError:
        with contextlib.suppress(FileNotFoundError):
            going.rename(place)
        raise
    return await asyncio.to_thread(_delete, going)


def _delete(folder: Path) -> str | None:
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{folder} cannot be removed ({error.strerror}): remove it yourself"
    return None


def _repositories_below(folder: Path) -> Iterator[Path]:
    """Submodules that were checked out, and clones."""
    for parent, folders, files in os.walk(folder):
        if Path(parent) != folder and ".git" in (*folders, *files):
            yield Path(parent)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
