"""One schedule: a system, its surroundings and everything that goes wrong, all from one seed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from actors import AGENTS, Agents, Clients
from chaos import Chaos
from client import SimulatedBus
from clocks import Clocks
from invariants import violations
from nats.micro.service import EndpointConfig, ServiceInfo
from network import Network, Process, Trace
from server import Server
from virtual_time import VirtualTimeLoop
from worksite.admin.main import run_with
from worksite.admin.router import Router
from worksite.admin.settings import AdminSettings
from worksite.common.bus import Service
from worksite.common.health import Health
from worksite.common.messages import Agent, RouteDecision, SubmitTask
from worksite.common.service import Running
from worksite.common.worker import Worker

GIVE_UP_SECONDS = 4 * 3600.0
"""Of the simulated clock. A handed-back message waits a minute at most, and the longest deadline is an hour."""
_LOOK_SECONDS = 5.0


@dataclass(frozen=True)
class Outcome:
    """What became of a schedule."""

    seed: int
    tasks: int
    calls: int
    virtual_seconds: float
    violations: tuple[str, ...]


def run(seed: int, trace: Trace | None = None) -> Outcome:
    """The same seed gives the same schedule, event by event."""
    random.seed(seed)  # back-off takes its jitter from there
    loop = VirtualTimeLoop()
    try:
        return Schedule(loop, seed, trace).run()
    finally:
        loop.close()


class Schedule:
    """Builds the system, lets it run until nothing is left to do, and looks at what is on the server."""

    def __init__(self, loop: VirtualTimeLoop, seed: int, trace: Trace | None) -> None:
        rng = Random(seed)
        self._loop, self._seed, self._rng = loop, seed, rng
        self._chaos = Chaos(rng, seconds=rng.choice((0.0, 20.0, 60.0)))
        window, work_cap = rng.choice((0.0, 10.0, 600.0)), rng.choice((1, 32))
        self._server = Server(loop, rng, window, work_cap)
        self._network = Network(loop, self._server, self._chaos, trace)
        self._agents = Agents(rng)
        gateway = SimulatedBus(self._network, Process("gateway", mortal=False))
        self._clients = Clients(gateway, loop, rng, self._chaos.seconds)
        self._clocks = Clocks(loop, seed, self._chaos.seconds)

    def run(self) -> Outcome:
        """To its end."""
        found = self._loop.run_until_complete(self._live())
        return Outcome(
            self._seed, len(self._clients.accepted), len(self._server.published), self._loop.time(), tuple(found)
        )

    async def _live(self) -> list[str]:
        self._start_processes()
        for _ in range(self._rng.choice((1, 1, 2))):
            self._clients.submit()
        for _ in range(self._rng.choice((0, 0, 1, 2)) if self._chaos.seconds else 0):
            down = self._rng.random() * 5
            self._loop.call_later(self._rng.random() * self._chaos.seconds, self._network.restart_server, down)
        self._server.heard = self._clients.hear
        found = await self._quiet()
        await asyncio.wait(self._network.close())
        return self._network.faults + (found or list(violations(self._server, self._clients)))

    def _start_processes(self) -> None:
        for i in range(self._rng.choice((1, 1, 2))):
            self._network.run(f"admin-{i}", self._admin)
        for agent in AGENTS:
            for i in range(self._rng.choice((1, 1, 2))):
                self._network.run(f"{agent}-{i}", self._worker(agent))

    async def _admin(self, process: Process) -> None:
        bus = SimulatedBus(self._network, process)
        running = Running(bus, Service(bus, cast(Any, _Unasked())), Health(), process.stop, asyncio.Event())
        await run_with(_Difficult(), _SETTINGS, running)

    def _worker(self, agent: Agent) -> Callable[[Process], object]:
        now = self._clocks.another()

        async def main(process: Process) -> None:
            bus = SimulatedBus(self._network, process)
            worker = Worker(bus, agent, self._agents.handlers(agent), concurrency=2, now=now)
            await worker.run(process.stop)

        return main

    async def _quiet(self) -> list[str]:
        """Returns when nothing is left to do; else says what is, when the schedule is given up."""
        while self._loop.time() < GIVE_UP_SECONDS:
            await asyncio.sleep(_LOOK_SECONDS)
            settled = self._clients.done and not self._network.in_flight and not any(self._server.unfinished())
            if settled and self._loop.time() > self._chaos.seconds:
                return []
        return [f"after {GIVE_UP_SECONDS:.0f} s: {left}" for left in self._server.unfinished()] or ["never quiet"]


class _Difficult(Router):
    """Finds three of four requests hard, so that its work is done in packages; nobody could be asked here."""

    async def route(self, task: SubmitTask) -> RouteDecision:
        decision = await super().route(task)
        return decision.model_copy(update={"difficulty": "hard" if int(task.task, 16) % 4 else None})


class _Unasked:
    """Endpoints that nobody calls: requests and replies are no part of a schedule."""

    def info(self) -> ServiceInfo:
        return ServiceInfo(name="admin", id="", version="", description=None, metadata={}, endpoints=[])

    async def add_endpoint(self, _: EndpointConfig) -> None: ...


_SETTINGS = AdminSettings(worker_concurrency=2)
