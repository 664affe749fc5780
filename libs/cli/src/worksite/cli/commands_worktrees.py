"""What the commands about a person's worktrees do."""

from __future__ import annotations

import shlex
from pathlib import Path

from worksite.cli import places
from worksite.cli.repository.git import RepositoryError
from worksite.cli.session import Screen
from worksite.cli.worktrees import cleaning, listing, starting
from worksite.cli.worktrees.home import ROLES, Entry, Home

_WIDTH = max(map(len, ROLES))


async def start(path: Path | None, base: str | None, screen: Screen) -> None:
    """Raises RepositoryError."""
    home = await _chosen(path, screen)
    uncommitted = [] if await _is_bare(home) else await home.git.lines(*listing.STATUS)
    started = await starting.start(home, base)
    screen.tell(f"base {started.base.commit} {await _subject(home, started.base.commit)}")
    for place in (*started.made, *started.there):
        screen.tell(f"{place}{'' if place in started.made else ' (was there)'}")
    for left in started.left:
        screen.say(left)
    if uncommitted:
        screen.say(f"uncommitted changes in {home.top} are not part of it (paths: {len(uncommitted)})")
    screen.say(f"in use while a command runs under its lock: flock {shlex.quote(str(home.place('builder')))} COMMAND")


async def show(path: Path | None, screen: Screen) -> None:
    """Raises RepositoryError."""
    home = await _chosen(path, screen)
    found = await listing.worktrees(home)
    for one in found:
        screen.tell(_unusable(one) if isinstance(one, Entry) else _row(one))
    moved = await home.elsewhere()
    for role, place in moved.items():
        screen.tell(f"{role:<{_WIDTH}}  checked out elsewhere: {place}")
    if not (found or moved):
        screen.say(f"{home.top} has none: 'worksite worktrees start' makes them")


async def clean(path: Path | None, discard_ignored: bool, screen: Screen) -> bool:
    """True when none is left. Raises RepositoryError."""
    home = await _chosen(path, screen)
    cleaned = await cleaning.clean(home, discard_ignored)
    for one in cleaned:
        screen.tell(f"{one.role:<{_WIDTH}}  {one.said}")
    if not cleaned:
        screen.say(f"{home.top} has none")
    return all(one.gone for one in cleaned)


async def _chosen(path: Path | None, screen: Screen) -> Home:
    """The repository that is named, else the one that we are in; which one that is, is said where it may surprise."""
    home = await Home.of(path or Path())
    if path is None and places.is_checkout(home.top):
        screen.say(f"no repository was named, so this is about Worksite's own checkout, {home.top}")
    return home


def _row(worktree: listing.Worktree) -> str:
    entry = worktree.entry
    where = entry.branch or f"detached at {(entry.head or '')[:12]}"
    base = f"from {worktree.base}" if worktree.base else "not by 'worksite worktrees start'"
    return f"{worktree.role:<{_WIDTH}}  {where}  {base}: {worktree.state}  {entry.path}"


def _unusable(entry: Entry) -> str:
    return f"{entry.path.name:<{_WIDTH}}  {entry.trouble}  {entry.path}"


async def _is_bare(home: Home) -> bool:
    return await home.git.says("rev-parse", "--is-bare-repository") == "true"


async def _subject(home: Home, commit: str) -> str:
    """The first line of its message and its date, for a person to know it by."""
    try:
        return (await home.git("log", "-1", "--format=(%cs, %s)", commit)).strip()
    except RepositoryError:
        return ""
