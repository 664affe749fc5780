"""Steps of builders, side by side on one state directory, while somebody clears it all the time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from programs import git, running, said
from step_worker import STAGES
from tally import Tally
from worksite.builder.repository import Repository
from worksite.builder.steps import Workplaces

AT_ONCE = 8
_STALE_ID = "01990525fe007abcdef0"


async def prove(folder: Path, worktrees: int, rng: Random) -> Tally:
    """Every second worker is killed at some stage, and its step is done again as after a redelivery."""
    proof = _Proof(folder, Tally("builders", worktrees))
    await proof.set_up()
    turns, doomed = asyncio.Semaphore(AT_ONCE), set(rng.sample(range(worktrees), worktrees // 2))

    async def life(number: int) -> None:
        task, base, bundle = await proof.imported(number)
        async with turns:
            await proof.live(task, base, bundle, rng.choice(STAGES) if number in doomed else None)

    async with proof.sweeper.sweeping(), asyncio.TaskGroup() as group:
        for number in range(worktrees):
            group.create_task(life(number))
    await proof.finish()
    return proof.tally


@dataclass
class _Sweeper:
    """What a start and the periodic sweep of a builder do, again and again."""

    workplaces: Workplaces
    passes: int = 0
    passed: asyncio.Condition = field(default_factory=asyncio.Condition)

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def whole_pass(self) -> None:
        """Until one has begun and ended from now on."""
        async with self.passed:
            seen = self.passes
            await self.passed.wait_for(lambda: self.passes >= seen + 2)

    async def _sweep(self) -> None:
        while True:
            await asyncio.to_thread(self.workplaces.clear)
            async with self.passed:
                self.passes += 1
                self.passed.notify_all()


class _Proof:
    def __init__(self, folder: Path, tally: Tally) -> None:
        self.folder, self.tally = folder, tally
        self.state, self.store = folder / "state", folder / "store"
        self.sweeper = _Sweeper(Workplaces(self.state, 0))
        self.heads: dict[str, tuple[str, str]] = {}

    async def set_up(self) -> None:
        self.store.mkdir()
        self.origin = await Repository.create(self.folder / "origin.git")
        self.tree, self.tip = await self.origin.empty_tree(), None
        self.importing = asyncio.Lock()

    async def imported(self, number: int) -> tuple[str, str, Path]:
        """The branch main moves on with every task: each begins with another commit, and only that one is right."""
        task = f"{_STALE_ID}{number:012x}"
        async with self.importing:
            parents = [self.tip] if self.tip else []
            self.tip = await self.origin.commit_tree(self.tree, parents, f"main {number}", number)
            await self.origin.set_branch("main", self.tip)
            bundle = self.folder / f"{task}.bundle"
            await self.origin.write_bundle(bundle, ["refs/heads/main"])
            return task, self.tip, bundle

    async def live(self, task: str, base: str, bundle: Path, stage: str | None) -> None:
        """Once, or killed and then once more. A commit that was made before the kill has to come again."""
        arguments = (self.state, self.store, task, base, bundle)
        seen = await self._killed(arguments, stage) if stage else None
        async with running("step_worker.py", *arguments, "") as worker:
            head = await said(worker, "committed")
            await said(worker, "done")
        self.tally.count("lost", seen not in (None, head), f"{task}: {seen} was made, and then {head}")
        self.heads[task] = (head, base)

    async def _killed(self, arguments: tuple[str | Path, ...], stage: str) -> str | None:
        seen = None
        async with running("step_worker.py", *arguments, stage) as worker:
            place = Path(await said(worker, "locked"))
            if STAGES.index(stage) >= STAGES.index("committed"):
                seen = await said(worker, "committed")
            if stage not in ("locked", "committed"):
                await said(worker, stage)
            await self.sweeper.whole_pass()
            whole = await asyncio.to_thread(lambda: place.is_dir() and (stage == "locked" or any(place.iterdir())))
            self.tally.count("taken", not whole, f"{place} at {stage}")
            worker.kill()
            self.tally.killed += 1
        return seen

    async def finish(self) -> None:
        """All that is stored is whole and of its base, and nothing else is left."""
        result = await Repository.create(self.folder / "result.git")
        for task, (head, base) in self.heads.items():
            stored = self.store / f"{task}.bundle"
            await git(result.git.directory, "fetch", "--quiet", stored, f"+HEAD:refs/heads/{task}")
            found = await git(result.git.directory, "rev-parse", f"refs/heads/{task}", f"refs/heads/{task}^")
            self.tally.count("lost", not found.startswith(head), f"{task}: {head} is not in its bundle")
            self.tally.count("stale", not found.endswith(base), f"{task}: {found.split()[-1:]} instead of {base}")
        await asyncio.to_thread(self.sweeper.workplaces.clear)
        for orphan in (*(self.state / "steps").iterdir(), *_processes_in(self.state)):
            self.tally.count("orphans", True, str(orphan))


def _processes_in(folder: Path) -> list[str]:
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(f"process {process.name}")
        except OSError:
            continue
    return found
