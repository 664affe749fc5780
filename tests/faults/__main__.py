"""A seeded nemesis against a running stack: `make faults RUNS=20 SEED=1`; see README.md."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import httpx
from clients import Clients
from history import seen_by_clients, violations
from nemesis import Fault, drawn, strike
from running import Stack, running_stack

_SECONDS = 8.0
"""In which tasks are submitted and faults strike."""
_PATIENCE_SECONDS = 120.0
_WHOLE_TASKS = 0.3
"""Share of the runs in which one task is built and judged; the others are cheap."""


@dataclass
class Totals:
    """Of all runs."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0


def main() -> int:
    """1 when something was lost or done twice."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others count up from it")
    parser.add_argument("--tasks", type=int, default=12, help="cheap tasks in each run")
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    totals = Totals()
    with running_stack() as stack:
        for seed in range(given.seed, given.seed + given.runs):
            asyncio.run(_run(stack, seed, given.tasks, totals))
    counts = totals.counts
    print(
        f"seed {given.seed}: {given.runs} runs, {counts['tasks']} tasks, {counts['kill']} kills, "
        f"{counts['stop']} stops, {counts['reconnects']} reconnects, {counts['events']} events; "
        f"slowest run {totals.slowest:.1f} s: {counts['violations']} violations"
    )
    return 1 if counts["violations"] else 0


async def _run(stack: Stack, seed: int, tasks: int, totals: Totals) -> None:
    rng, started = Random(seed), time.monotonic()
    faults = drawn(rng, _SECONDS)
    headers = {"Authorization": f"Bearer {stack.token()}"}
    limits = httpx.Limits(max_connections=200)
    url = stack.address("gateway_url")
    async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False, timeout=10, limits=limits) as http:
        clients = Clients(http, rng, seed)
        striking = [asyncio.create_task(strike(stack, fault, clients.reached, _SECONDS * 2)) for fault in faults]
        await clients.submit_all(tasks, int(rng.random() < _WHOLE_TASKS), _SECONDS)
        struck = [fault for fault, hit in zip(faults, await asyncio.gather(*striking), strict=True) if hit]
        found = [] if await clients.all_rest(_PATIENCE_SECONDS) else await clients.under_way()
        found += await _judged(clients, totals)
        await clients.end()
    found += await _left(stack)
    _told(seed, struck, found, time.monotonic() - started, totals)


async def _judged(clients: Clients, totals: Totals) -> list[str]:
    found: list[str] = []
    for task in clients.tasks:
        events, view = await clients.recorded(task.id), await clients.view(task.id)
        await clients.caught_up(task, max(seen_by_clients(events), default=0))
        found += [f"task {task.id}: {line}" for line in violations(task, events, view)]
        totals.counts.update(tasks=1, events=len(events), reconnects=task.reconnects)
    return found


async def _left(stack: Stack) -> list[str]:
    """What no consumer has acked, after the time that a redelivery takes."""
    left: list[str] = []
    for _ in range(60):
        try:
            left = await asyncio.to_thread(stack.unfinished)
        except (httpx.HTTPError, FileNotFoundError) as error:
            left = [f"nats-server does not answer: {error}"]
        if not left:
            return []
        await asyncio.sleep(0.5)
    return left


def _told(seed: int, struck: list[Fault], found: list[str], seconds: float, totals: Totals) -> None:
    totals.counts.update(Counter(fault.kind for fault in struck), violations=len(found))
    totals.slowest = max(totals.slowest, seconds)
    print(f"  run {seed}: {seconds:.1f} s; {'; '.join(map(str, struck)) or 'nothing struck'}", flush=True)
    for line in found:
        print(f"    {line}")
    if found:
        print(f"    the same faults again: make faults RUNS=1 SEED={seed}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
