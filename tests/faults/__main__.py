"""A seeded nemesis against a running stack: `make faults RUNS=20 SEED=1`; see README.md."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Iterator

from cluster import running_cluster
from disk import Disk, limited_disk
from nemesis import Nemesis
from nodes import ClusterNemesis, ClusterRuns, cluster_plan
from proxy import proxied
from running import Stack, running_stack
from runs import Plan, Runs


def main() -> int:
    """1 when something was lost or done twice."""
    given = _arguments()
    _end_in_order()
    print(f"seed {given.seed}", flush=True)
    runs = asyncio.run(_on_a_cluster(given)) if given.profile == "cluster" else _embedded(given)
    print(f"seed {given.seed}: {runs.totals}")
    return 1 if runs.totals.counts["violations"] else 0


def _end_in_order() -> None:
    """By Ctrl-C and SIGTERM alike, also as a background job of a script: else the stack would be left running."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others count up from it")
    parser.add_argument("--tasks", type=int, default=8, help="cheap tasks in each run")
    parser.add_argument("--at-once", type=int, default=3, help="runs that go on side by side")
    parser.add_argument("--profile", choices=("embedded", "cluster"), default="embedded", help="one server, or three")
    return parser.parse_args()


def _embedded(given: argparse.Namespace) -> Runs:
    with limited_disk() as disk:
        if disk is None:
            print("no disk of limited size can be mounted here (root can): it will not be full", flush=True)
        with running_stack(disk.root if disk else None) as stack:
            return asyncio.run(_on_one_server(stack, disk, given))


async def _on_one_server(stack: Stack, disk: Disk | None, given: argparse.Namespace) -> Runs:
    async with proxied(stack) as proxy:
        runs = Runs(stack, Nemesis(stack, proxy, disk))
        return await _all(runs, Plan.of, given)


async def _on_a_cluster(given: argparse.Namespace) -> Runs:
    async with running_cluster() as stack:
        nemesis = ClusterNemesis(stack, None, None)
        runs = await _all(ClusterRuns(stack, nemesis), cluster_plan, given)
    print(f"{nemesis.killed_leaders} of the kills were of leaders")
    return runs


async def _all(runs: Runs, plan: Callable[[int, int], Plan], given: argparse.Namespace) -> Runs:
    plans = (plan(seed, given.tasks) for seed in range(given.seed, given.seed + given.runs))
    async with asyncio.TaskGroup() as group:
        for _ in range(given.at_once):
            group.create_task(_one_by_one(runs, plans))
    await runs.end()
    return runs


async def _one_by_one(runs: Runs, plans: Iterator[Plan]) -> None:
    for plan in plans:
        await runs.play(plan)


if __name__ == "__main__":
    sys.exit(main())
