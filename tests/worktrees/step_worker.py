"""A builder's process with one step: cut the worktree, work, commit, store, as the builder's own code does it.

Says where it is, and stands still at the stage that it is told to.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from worksite.builder.domain import authorship
from worksite.builder.repository import Repository
from worksite.builder.steps import Workplaces

STAGES = ("locked", "cut", "written", "committed", "bundled", "stored")


@dataclass(frozen=True)
class Step:
    """`store` stands for the artifact store: what is in it under its final name is stored."""

    state: Path
    store: Path
    task: str
    base: str
    bundle: Path
    stop_at: str

    async def run(self) -> None:
        async with Workplaces(self.state, 1 << 30).attempt(self.task, "3-build") as folder:
            self.reach("locked", folder)
            repository = await Repository.create(folder / "repository.git")
            await repository.take_bundle(self.bundle)
            worktree = await repository.add_worktree(folder / "worktree", authorship.branch_of(self.task), self.base)
            self.reach("cut")
            (folder / "worktree" / f"{self.task}.txt").write_text(f"work of {self.task}\n")
            self.reach("written")
            head = await worktree.commit_all("work", authorship.task_seconds(self.task), self.base)
            self.reach("committed", head)
            await repository.set_head(worktree.branch)
            await repository.write_bundle(folder / "result.bundle", [f"refs/heads/{worktree.branch}"])
            self.reach("bundled")
            (folder / "result.bundle").rename(self.store / f"{self.task}.bundle")
            self.reach("stored")
        self.reach("done")

    def reach(self, stage: str, word: object = "") -> None:
        print(stage, word, flush=True)
        if stage == self.stop_at:
            sys.stdin.read()


if __name__ == "__main__":
    state, store, task, base, bundle, stop_at = sys.argv[1:]
    asyncio.run(Step(Path(state), Path(store), task, base, Path(bundle), stop_at).run())
