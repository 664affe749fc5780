"""Cut the worktrees, each on a branch of its own, from one commit that is named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worksite.cli.repository.git import RepositoryError
from worksite.cli.worktrees import cleaning, listing, origins
from worksite.cli.worktrees.home import HEADS, ROLES, STARTING, Entry, Home, branch_of
from worksite.cli.worktrees.origins import Base


@dataclass(frozen=True)
class Started:
    """`made` are new, `there` were there already, at the same base; `left` is what cannot be removed, in words."""

    base: Base
    made: tuple[Path, ...]
    there: tuple[Path, ...]
    left: tuple[str, ...]


async def start(home: Home, named: str | None) -> Started:
    """All of them, or RepositoryError before anything is made. Once more after a crash, it goes on."""
    with home.to_itself() as home:
        base = await origins.chosen(home, named)
        left = await cleaning.collect(home)
        entries, elsewhere = await home.entries(), await home.elsewhere()
        absent = [role for role in ROLES if role not in entries]
        for role, entry in entries.items():
            await _check_same(home, role, entry, base)
        for role in absent:
            _check_not_elsewhere(home, role, elsewhere.get(role))
            await _check_free(home, role, base)
        for role in absent:
            await _cut(home, role, base)
    places = {role: home.place(role) for role in ROLES}
    made = tuple(place for role, place in places.items() if role in absent)
    there = tuple(place for role, place in places.items() if role not in absent)
    return Started(base, made, there, tuple(left))


async def _check_same(home: Home, role: str, entry: Entry, base: Base) -> None:
    if entry.trouble:
        raise RepositoryError(f"{entry.path} is {entry.trouble}")
    theirs = await origins.remembered(home.at(entry.path))
    if theirs is None:
        raise RepositoryError(f"{entry.path} is a worktree, but not one of 'worksite worktrees start': move it away")
    if theirs.commit != base.commit:
        raise RepositoryError(
            f"{role} is there, cut from {theirs}, and not from {base}: 'worksite worktrees clean' keeps its work"
        )


def _check_not_elsewhere(home: Home, role: str, path: Path | None) -> None:
    if path == home.top:
        raise RepositoryError(f"{branch_of(role)} is checked out in {path}: switch to another branch there")
    if path:
        raise RepositoryError(
            f"{branch_of(role)} is checked out in {path}: 'git worktree move {path} {home.place(role)}' brings it back"
        )


async def _check_free(home: Home, role: str, base: Base) -> None:
    """Neither the folder nor the branch may hold anything that would be lost or become a part of the base."""
    place, branch = home.place(role), branch_of(role)
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise RepositoryError(f"{place} is in the way: move it away")
    extra = await home.git.says("rev-list", "--count", f"{base.commit}..{HEADS}{branch}")
    if extra and extra != "0":
        raise RepositoryError(
            f"{branch} holds {extra} commits that {base} does not: merge them, begin with them (--base {branch}), "
            f"or give the branch another name (git branch -m {branch} NAME)"
        )


async def _cut(home: Home, role: str, base: Base) -> None:
    """An old branch of the name holds nothing of its own, so it may begin anew.

    Locked until its base is remembered: one that we leave half made, and no other, is made anew.
    """
    place, lock = home.place(role), ("--lock", "--reason", STARTING)
    await home.git("worktree", "add", "--quiet", "--no-track", *lock, "-B", branch_of(role), place, base.commit)
    worktree = home.at(place)
    if await worktree.says("rev-parse", "HEAD") != base.commit or await worktree.lines(*listing.STATUS):
        raise RepositoryError(f"{place} is not what {base} holds: look at the filters that the repository names")
    await origins.remember(worktree, base)
    await home.git("worktree", "unlock", place)
