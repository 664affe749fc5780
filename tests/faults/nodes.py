"""What is done to a cluster: its nodes, above all those that lead, are killed or stand still, one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from clients import Clients, Followed
from cluster import ClusterStack
from nemesis import STEPS, Fault, Nemesis, Strike
from resuming import BUDGET_SECONDS, Resumed
from runs import WINDOW_SECONDS, Plan, Runs
from worksite.common.subjects import SERVICES
from worksite.common.testing import NatsServer

_LEADER = "leader of "
_LED = ("EVENTS", "EVENTS", "WORK", "WORK", "TASKS", "KV_ledger", "KV_tasks", "KV_idempotency", "OBJ_artifacts")
_NODES = ("n1", "n2", "n3")
_WHOLE_TASKS = 0.25
_OVERLAP_SECONDS = 5.0
Event = dict[str, Any]


def cluster_plan(seed: int, tasks: int) -> Plan:
    """One or two nodes and up to two services are struck; every other node is the leader of a stream."""
    rng = Random(seed)
    faults = [_on_a_node(rng) for _ in range(rng.randint(1, 2))]
    faults += [_on_a_service(rng, service) for service in rng.sample(SERVICES, rng.randint(0, 2))]
    return Plan(seed, tuple(faults), tasks, int(rng.random() < _WHOLE_TASKS))


def _on_a_node(rng: Random) -> Fault:
    program = _LEADER + rng.choice(_LED) if rng.random() < 0.7 else rng.choice(_NODES)
    if rng.random() < 0.6:
        return Fault("kill", program, _when(rng), rng.uniform(0.2, 8.0))
    return Fault("stop", program, _when(rng), rng.uniform(0.5, 20.0))


def _on_a_service(rng: Random, service: str) -> Fault:
    if rng.random() < 0.6:
        return Fault("kill", service, _when(rng))
    return Fault("stop", service, _when(rng), rng.uniform(0.5, rng.choice((4.0, 20.0))))


def _when(rng: Random) -> float | str:
    return rng.choice((*STEPS, "1-answer")) if rng.random() < 0.4 else rng.uniform(0, WINDOW_SECONDS)


@dataclass
class ClusterNemesis(Nemesis):
    """Strikes nodes as well. The next one is struck when the one before has caught up."""

    stack: ClusterStack  # pyright: ignore[reportIncompatibleVariableOverride]
    killed_leaders: int = field(default=0, init=False)

    async def _hit(self, fault: Fault) -> bool:
        if fault.program in SERVICES:
            return await super()._hit(fault)
        node = await asyncio.to_thread(self._victim, fault.program)
        if node is None:
            return False
        if fault.kind == "kill":
            self.killed_leaders += fault.program.startswith(_LEADER)
            await asyncio.to_thread(node.kill)
            await asyncio.sleep(fault.seconds)
            node.launch()
        else:
            node.stand_still()
            await asyncio.sleep(fault.seconds)
            node.go_on()
        await asyncio.to_thread(self.stack.cluster.wait_until_ready)
        return True

    def _victim(self, program: str) -> NatsServer | None:
        cluster = self.stack.cluster
        if program.startswith(_LEADER):
            return cluster.leader(program.removeprefix(_LEADER))
        return cluster.nodes[_NODES.index(program)]


class ClusterRuns(Runs):
    """Measures as well how soon tasks go on after a node was killed."""

    command = "make faults PROFILE=cluster"

    def __init__(self, stack: ClusterStack, nemesis: ClusterNemesis) -> None:
        super().__init__(stack, nemesis)  # pyright: ignore[reportArgumentType]
        self._recorded: dict[str, list[Event]] = {}

    async def _read(self, clients: Clients, task: Followed) -> tuple[list[Event], list[str]]:
        events, lines = await super()._read(clients, task)
        self._recorded[task.id] = events
        return events, lines

    async def end(self) -> None:
        await super().end()
        for events in self._recorded.values():
            went_on = list(gone_on(events, self._nemesis.strikes))
            self.totals.resumed += went_on
            self._violated([str(each) for each in went_on if each.late])


def gone_on(events: list[Event], strikes: Iterable[Strike]) -> Iterator[Resumed]:
    """Of one task, for each kill of a node while one of its steps was in flight: until its next event. Left out are
    steps that somebody was at work on all the time, and whatever a second fault may have delayed."""
    strikes = tuple(strikes)
    for strike in strikes:
        if strike.fault.kind == "kill" and strike.fault.program not in SERVICES:
            step, moved = _step_at(events, strike.since), _next(events, strike.since)
            if not step or not moved or _in_hand(events, step, strike.since):
                continue
            if not any(_overlaps(other, strike, moved) for other in strikes):
                yield Resumed(step, strike.fault.program, moved - strike.since, BUDGET_SECONDS)


def _in_hand(events: list[Event], step: str, moment: float) -> bool:
    """Was the step begun before that moment, and done after it?"""
    results = (event for event in events if event["kind"] == "result" and event["step"] == step)
    return any(_seconds(event["body"]["started_at"]) < moment < _time(event) for event in results)


def _step_at(events: list[Event], moment: float) -> str | None:
    states = [event["body"]["step"] for event in events if event["kind"] == "state" and _time(event) < moment]
    return states[-1] if states else None


def _next(events: list[Event], moment: float) -> float | None:
    return min((_time(event) for event in events if _time(event) > moment), default=None)


def _overlaps(other: Strike, strike: Strike, moved: float) -> bool:
    return other is not strike and other.since < moved and other.until + _OVERLAP_SECONDS > strike.since


def _time(event: Event) -> float:
    return _seconds(event["time"])


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
