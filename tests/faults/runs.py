"""One run: clients submit and follow tasks while faults strike, and then everything recorded is judged."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from random import Random

import httpx
from branch import branch_violations
from clients import Clients, Followed, Hung
from history import Event, seen_by_clients, violations
from nemesis import KINDS, Fault, Nemesis, Strike, drawn, tour
from resuming import Resumed, Step, resumed, steps
from running import Stack
from worksite.cli.client.access import NoAccess
from worksite.cli.client.refusals import TooMany

WINDOW_SECONDS = 5.0
"""In which tasks are submitted and faults strike."""
_TOUR_EVERY = 10
"""Of so many runs one kills at each step of a whole task."""
_WHOLE_TASKS = 0.15
"""Share of the other runs in which one task is built and judged; the others are cheap."""
_TASKS_PATIENCE_SECONDS = 900.0
"""The runs beside it may strike again and again what a task waits for, sooner than it is done: until they wait as well,
and nothing strikes any more."""
_READ_AGAIN_SECONDS = 10.0
_LEFT_SECONDS = 180.0
"""A message that was handed back again and again waits a minute, and then has to be handled."""


@dataclass(frozen=True)
class Plan:
    """What a run does, all from its seed."""

    seed: int
    faults: tuple[Fault, ...]
    tasks: int
    whole: int

    @classmethod
    def of(cls, seed: int, tasks: int) -> Plan:
        number, is_other = divmod(seed, _TOUR_EVERY)
        rng = Random(seed)
        if not is_other:
            return cls(seed, tuple(tour(number)), tasks=2, whole=1)
        return cls(seed, tuple(drawn(rng, WINDOW_SECONDS)), tasks, int(rng.random() < _WHOLE_TASKS))


@dataclass
class Totals:
    """Of all runs."""

    counts: Counter[str] = field(default_factory=Counter)
    resumed: list[Resumed] = field(default_factory=list)
    slowest: float = 0.0

    def __str__(self) -> str:
        counts = self.counts
        faults = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS)
        slowest = max((each.seconds for each in self.resumed), default=0.0)
        return (
            f"{counts['runs']} runs, {counts['tasks']} tasks, {counts['events']} events, "
            f"{counts['reconnects']} reconnects; {faults}; largest resume time {slowest:.1f} s "
            f"({len(self.resumed)} measured); slowest run {self.slowest:.1f} s: {counts['violations']} violations"
        )


class Runs:
    """Plays plans against one stack. Several may go on at once: then one's faults strike the others' tasks too."""

    command = "make faults"

    def __init__(self, stack: Stack, nemesis: Nemesis) -> None:
        self._url = stack.address("gateway_url")
        self._stack = stack
        self._nemesis = nemesis
        self._worked: list[Step] = []
        self.totals = Totals()

    async def play(self, plan: Plan) -> None:
        """To its end; tells what struck, and what did not hold."""
        started = time.monotonic()
        struck: list[Strike] = []
        limits = httpx.Limits(max_connections=200)
        headers = {"Authorization": f"Bearer {await self._token()}"}
        async with httpx.AsyncClient(
            base_url=self._url, headers=headers, trust_env=False, timeout=10, limits=limits
        ) as http:
            clients = Clients(http, Random(plan.seed), plan.seed)
            try:
                struck, found = await self._under_fire(plan, clients)
                found += await self._judged(clients)
            except Hung as error:
                found = [str(error)]
            finally:
                await clients.end()
        self._told(plan, struck, found, time.monotonic() - started)

    async def _token(self) -> str:
        """A new one for each run, because they expire; the runs beside it may have the gateway down."""
        async with asyncio.timeout(_TASKS_PATIENCE_SECONDS):
            while True:
                with contextlib.suppress(NoAccess, TooMany):
                    return await self._stack.token()
                await asyncio.sleep(0.5)

    async def end(self) -> None:
        """When all runs are over: what no consumer has acked, and what went on too late."""
        await self._left()
        went_on = list(resumed(self._worked, self._nemesis.strikes))
        self.totals.resumed += went_on
        self._violated([str(each) for each in went_on if each.late])

    async def _left(self) -> None:
        """After the time that hand-backs take."""
        left, deadline = [""], time.monotonic() + _LEFT_SECONDS
        while left and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            try:
                left = await asyncio.to_thread(self._stack.unfinished)
            except httpx.HTTPError as error:
                left = [f"nats-server does not answer: {error}"]
        self._violated(left)

    async def _under_fire(self, plan: Plan, clients: Clients) -> tuple[list[Strike], list[str]]:
        """What hit, and what did not come to rest. No strike is cut short: something would stand still for ever."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            strikes = [group.create_task(self._nemesis.strike(fault, clients.reached, over)) for fault in plan.faults]
            found = await _submitted(clients, plan)
            over.set()
        return [hit for each in strikes if (hit := each.result())], found

    async def _judged(self, clients: Clients) -> list[str]:
        found: list[str] = []
        for task in clients.tasks:
            events, lines = await self._read(clients, task)
            found += [f"task {task.id}: {line}" for line in lines]
            self._worked += steps(task.id, events)
            self.totals.counts.update(tasks=1, events=len(events), reconnects=task.reconnects)
        return found

    async def _read(self, clients: Clients, task: Followed) -> tuple[list[Event], list[str]]:
        """Read again for a while when something does not hold: the read model may lag, what is doubled stays."""
        deadline = time.monotonic() + _READ_AGAIN_SECONDS
        while True:
            events, view = await clients.recorded(task.id), await clients.view(task.id)
            await clients.caught_up(task, max(seen_by_clients(events), default=0))
            lines = list(violations(task, events, view))
            if "report.json" in view["artifacts"]:
                named = [await clients.artifact(task.id, name) for name in ("branch.bundle", "report.json")]
                lines += await asyncio.to_thread(
                    lambda events=events, named=named: list(branch_violations(events, *named))
                )
            if not lines or time.monotonic() > deadline:
                return events, lines

    def _told(self, plan: Plan, struck: list[Strike], found: list[str], seconds: float) -> None:
        self.totals.counts.update(Counter(strike.fault.kind for strike in struck), runs=1)
        self.totals.slowest = max(self.totals.slowest, seconds)
        hit = "; ".join(str(strike.fault) for strike in struck) or "nothing struck"
        print(f"  run {plan.seed}: {seconds:.1f} s; {hit}", flush=True)
        self._violated(found)
        if found:
            print(f"    the same faults again: {self.command} RUNS=1 SEED={plan.seed}", flush=True)

    def _violated(self, found: list[str]) -> None:
        self.totals.counts.update(violations=len(found))
        for line in found:
            print(f"    {line}", flush=True)


async def _submitted(clients: Clients, plan: Plan) -> list[str]:
    """Until all tasks rest; what did not."""
    try:
        await clients.submit_all(plan.tasks, plan.whole, WINDOW_SECONDS)
        return [] if await clients.all_rest(_TASKS_PATIENCE_SECONDS) else await clients.under_way()
    except Hung as error:
        return [str(error)]
