"""NATS is gone for a while: `python tests/faults/outages.py --seconds 30`; see README.md.

Clients go on asking meanwhile. What the gateway answers, and how soon, whether what it had accepted is done, once, and
whether all six services go on by themselves, is told at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
from clients import Clients, Followed
from history import violations
from proxy import EVERYBODY, Proxy, Weather, proxied
from running import Stack, running_stack
from worksite.common.subjects import SERVICES

KINDS = ("stands still", "unreachable", "hears nothing", "says nothing")
"""SIGSTOP; connections refused; half-open towards nats-server, and from it."""
_ACCEPTED: tuple[dict[str, Any], ...] = (
    {"request": "How does a task get its route?", "route": "question"},
    {"request": "A bookshop API with title, price and stock", "route": "design"},
)
_PATIENCE_SECONDS = 90.0
_PAUSE_SECONDS = 0.1
_ROUNDS = 5


@dataclass(frozen=True)
class Answer:
    """To a request that was made while NATS was gone."""

    request: str
    status: int
    retry_after: str | None
    seconds: float


@dataclass
class Outcome:
    """Of one outage."""

    kind: str
    lasted_seconds: float = 0.0
    recovered_seconds: float = 0.0
    """From its end until all six services say that they are ready."""
    answers: list[Answer] = field(default_factory=list[Answer])
    tasks: int = 0
    restarted: list[str] = field(default_factory=list[str])
    violations: list[str] = field(default_factory=list[str])

    @property
    def slowest(self) -> float:
        return max(answer.seconds for answer in self.answers)

    @property
    def wrong(self) -> list[Answer]:
        """Whatever is no 503 that says when to come again."""
        return [answer for answer in self.answers if answer.status != 503 or not (answer.retry_after or "").isdigit()]

    def __str__(self) -> str:
        return (
            f"{self.kind} for {self.lasted_seconds:.1f} s: {len(self.answers)} requests, {len(self.wrong)} of them not "
            f"answered with 503 and Retry-After, slowest answer {self.slowest:.3f} s; all six services ready again "
            f"after {self.recovered_seconds:.1f} s, {len(self.restarted)} restarted; {self.tasks} tasks, "
            f"{len(self.violations)} violations {self.violations or ''}".rstrip()
        )


class Outages:
    """Strikes one stack."""

    def __init__(self, stack: Stack, proxy: Proxy, http: httpx.AsyncClient) -> None:
        self._stack, self._proxy, self._http = stack, proxy, http
        self._clients = Clients(http, Random(1), 0)
        self._keys = (f"outage-{number}" for number in itertools.count())

    async def play(self, kind: str, seconds: float) -> Outcome:
        """For so long at least, for some rounds of requests, and until all six services have noticed."""
        await self._until_ready()
        outcome, pids = Outcome(kind), self._pids()
        accepted = [await self._submitted(next(self._keys), body) for body in _ACCEPTED]
        tried: list[str] = []
        began = time.monotonic()
        with self._strike(kind):
            while len(tried) < _ROUNDS or time.monotonic() - began < seconds or not await self._all(503):
                tried.append(next(self._keys))
                await self._ask(outcome, tried[-1], accepted[0])
                await asyncio.sleep(_PAUSE_SECONDS)
            ended = time.monotonic()
        outcome.lasted_seconds = ended - began
        await self._until_ready()
        outcome.recovered_seconds = time.monotonic() - ended
        outcome.restarted = [name for name, pid in self._pids().items() if pids[name] != pid]
        again = [await self._submitted(key, _ACCEPTED[0]) for key in tried[:3]]  # a client that keeps to Retry-After
        await self._judge(outcome, [*accepted, *again])
        return outcome

    @contextlib.contextmanager
    def _strike(self, kind: str) -> Iterator[None]:
        match kind:
            case "stands still":
                with _stopped(self._stack.pid("nats")):
                    yield
            case "unreachable":
                with self._proxy.unreachable():
                    yield
            case _:
                weather = Weather(swallows="up" if kind == "hears nothing" else "down")
                with self._proxy.weather(EVERYBODY, weather):
                    yield

    async def _ask(self, outcome: Outcome, key: str, task: str) -> None:
        """A client that submits, one that looks, one that lists, one that begins to follow."""
        submit = {"json": _ACCEPTED[0], "headers": {"Idempotency-Key": key}}
        asked = (("POST", "/v1/tasks", submit), ("GET", f"/v1/tasks/{task}", {}), ("GET", "/v1/tasks", {}))
        follow = ("GET", f"/v1/tasks/{task}/events", {"params": {"follow": "false"}})
        outcome.answers += await asyncio.gather(*(self._answer(*each) for each in (*asked, follow)))

    async def _answer(self, method: str, path: str, given: dict[str, Any]) -> Answer:
        began = time.monotonic()
        answer = await self._http.request(method, path, **given)
        seconds = time.monotonic() - began
        return Answer(f"{method} {path}", answer.status_code, answer.headers.get("Retry-After"), seconds)

    async def _submitted(self, key: str, body: dict[str, Any]) -> str:
        answer = await self._http.post("/v1/tasks", json=body, headers={"Idempotency-Key": key})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    async def _judge(self, outcome: Outcome, tasks: list[str]) -> None:
        self._clients.tasks = [Followed(task) for task in tasks]
        outcome.tasks = len(tasks)
        if not await self._clients.all_rest(_PATIENCE_SECONDS):
            outcome.violations += await self._clients.under_way()
        for task in self._clients.tasks:
            events = await self._clients.recorded(task.id)
            task.ids = [event["sequence"] for event in events]
            outcome.violations += violations(task, events, await self._clients.view(task.id))
        if twice := len(tasks) - len(set(tasks)):
            outcome.violations.append(f"{twice} tasks were made twice")

    def _pids(self) -> dict[str, int | None]:
        return {service: self._stack.pid(service) for service in SERVICES}

    async def _until_ready(self) -> None:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not await self._all(200):
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _all(self, status: int) -> bool:
        """Do all six services say that they are ready (200), or not (503)?"""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            answers = await asyncio.gather(*(http.get(f"{self._operations(name)}/readyz") for name in SERVICES))
        return {answer.status_code for answer in answers} == {status}

    def _operations(self, service: str) -> str:
        if service in ("gateway", "admin"):
            return self._stack.address(f"{service}_url")
        environment = Path(f"/proc/{self._stack.pid(service)}/environ").read_bytes().split(b"\0")
        port = next(line for line in environment if line.startswith(b"OPS_PORT=")).partition(b"=")[2]
        return f"http://127.0.0.1:{port.decode()}"


@contextlib.contextmanager
def _stopped(pid: int | None) -> Iterator[None]:
    assert pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def outages(stack: Stack, kinds: tuple[str, ...], seconds: float, tell: Callable[[Outcome], None]) -> None:
    """One after the other."""
    async with proxied(stack) as proxy:
        headers = {"Authorization": f"Bearer {await stack.token()}"}
        url = stack.address("gateway_url")
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False) as http:
            striking = Outages(stack, proxy, http)
            for kind in kinds:
                tell(await striking.play(kind, seconds))


def main() -> int:
    """1 when something went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0, help="that each outage lasts")
    given = parser.parse_args()
    found: list[Outcome] = []

    def tell(outcome: Outcome) -> None:
        print(outcome, flush=True)
        found.append(outcome)

    with running_stack() as stack:
        asyncio.run(outages(stack, KINDS, given.seconds, tell))
    return int(any(outcome.violations or outcome.wrong or outcome.restarted for outcome in found))


if __name__ == "__main__":
    sys.exit(main())
