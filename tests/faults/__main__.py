"""A seeded nemesis against a running stack: `make faults RUNS=20 SEED=1`; see README.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator

from disk import Disk, limited_disk
from nemesis import Nemesis
from proxy import proxied
from running import Stack, running_stack
from runs import Plan, Runs


def main() -> int:
    """1 when something was lost or done twice."""
    given = _arguments()
    print(f"seed {given.seed}", flush=True)
    with limited_disk() as disk:
        if disk is None:
            print("no disk of limited size can be mounted here (root can): it will not be full", flush=True)
        with running_stack(disk.root if disk else None) as stack:
            runs = asyncio.run(_all(stack, disk, given))
    print(f"seed {given.seed}: {runs.totals}")
    return 1 if runs.totals.counts["violations"] else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others count up from it")
    parser.add_argument("--tasks", type=int, default=8, help="cheap tasks in each run")
    parser.add_argument("--at-once", type=int, default=3, help="runs that go on side by side")
    return parser.parse_args()


async def _all(stack: Stack, disk: Disk | None, given: argparse.Namespace) -> Runs:
    async with proxied(stack) as proxy:
        runs = Runs(stack, await asyncio.to_thread(stack.token), Nemesis(stack, proxy, disk))
        plans = (Plan.of(seed, given.tasks) for seed in range(given.seed, given.seed + given.runs))
        async with asyncio.TaskGroup() as group:
            for _ in range(given.at_once):
                group.create_task(_one_by_one(runs, plans))
        await runs.left()
    return runs


async def _one_by_one(runs: Runs, plans: Iterator[Plan]) -> None:
    for plan in plans:
        await runs.play(plan)


if __name__ == "__main__":
    sys.exit(main())
