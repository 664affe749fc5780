"""Worktrees of people: repositories with three each, owners that are killed, and commands that are killed as well."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, Process
from pathlib import Path
from random import Random

from programs import git, running, said
from tally import Tally
from worksite.cli.worktrees import cleaning, starting
from worksite.cli.worktrees.home import ROLES, Home, branch_of

AT_ONCE = 3
_LONGEST_LIFE_SECONDS = 2.0
"""Of a command that is killed: about as long as it takes here, so that the kill strikes anywhere in it."""


async def prove(folder: Path, worktrees: int, rng: Random) -> Tally:
    """As many repositories as it takes, some at once."""
    tally, turns = Tally("people"), asyncio.Semaphore(AT_ONCE)

    async def life(number: int) -> None:
        async with turns:
            await _Repository(folder / f"shop{number}", tally, rng).live()

    async with asyncio.TaskGroup() as group:
        for number in range(-(-worktrees // len(ROLES))):
            group.create_task(life(number))
    return tally


class _Repository:
    def __init__(self, top: Path, tally: Tally, rng: Random) -> None:
        self.top, self.tally, self.rng = top, tally, rng

    async def live(self) -> None:
        await self._make()
        await self._killed_command("start")
        home = await Home.of(self.top)
        base = (await starting.start(home, None)).base.commit
        self.tally.worktrees += len(ROLES)
        async with contextlib.AsyncExitStack() as owners:
            at_work = {
                role: await owners.enter_async_context(running("person.py", home.place(role), role)) for role in ROLES
            }
            for owner in at_work.values():
                await said(owner, "ready")
            await self._clean_around(home, at_work)
            for role in self.rng.sample(ROLES, self.rng.choice((1, 2))):
                await self._kill(at_work.pop(role))
            await self._clean_around(home, at_work)
        await self._killed_command("clean")
        for one in await cleaning.clean(home):
            self.tally.count("orphans", not one.gone, f"{home.place(one.role)}: {one.said}")
        await self._check(home, base)

    async def _make(self) -> None:
        self.top.mkdir()
        await git(self.top, "init", "--quiet", "--initial-branch=main")
        for number in range(self.rng.randint(1, 3)):
            await git(self.top, "commit", "--quiet", "--allow-empty", "-m", f"main {number}")

    async def _killed_command(self, command: str) -> None:
        """At a moment that nobody chose: what holds has to hold after every one."""
        program = [sys.executable, "-m", "worksite.cli.main", "worktrees", command, str(self.top)]
        process = await asyncio.create_subprocess_exec(*program, stdout=DEVNULL, stderr=DEVNULL)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), self.rng.random() * _LONGEST_LIFE_SECONDS)
        if process.returncode is None:
            await self._kill(process)
        await self._until_free()

    async def _until_free(self) -> None:
        """A git that the command had started may go on; it holds the lock until it ends."""
        home = await Home.of(self.top)
        while True:
            with contextlib.suppress(Exception), home.to_itself():
                return
            await asyncio.sleep(0.01)

    async def _kill(self, process: Process) -> None:
        process.kill()
        await process.wait()
        self.tally.killed += 1

    async def _clean_around(self, home: Home, at_work: dict[str, Process]) -> None:
        await cleaning.clean(home)
        for role in at_work:
            left = (home.place(role) / f"{role}-too.txt").exists()
            self.tally.count("taken", not left, str(home.place(role)))

    async def _check(self, home: Home, base: str) -> None:
        for role in ROLES:
            branch = branch_of(role)
            found = [await git(self.top, "show", f"{branch}:{role}{end}.txt") for end in ("", "-too")]
            whole = found == [f"committed by {role}", f"not committed by {role}"]
            self.tally.count("lost", not whole, f"{self.top} {branch}: {found}")
            first = (await git(self.top, "rev-list", "--reverse", f"{base}..{branch}")).splitlines()[:1]
            parent = await git(self.top, "rev-parse", f"{first[0]}^") if first else ""
            self.tally.count("stale", parent != base, f"{self.top} {branch}: {parent} instead of {base}")
        registered = (await git(self.top, "worktree", "list")).splitlines()
        self.tally.count("orphans", len(registered) != 1, f"{self.top}: {registered}")
        self.tally.count("orphans", home.folder.exists(), str(home.folder))
