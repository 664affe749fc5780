"""Each service is replaced under load, behind one address: no request fails, no task is lost, none is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from worksite.cli.client.access import Access, ClientSettings
from worksite.cli.stack.embedded import Ports, Stack, running_stack, service_environment
from worksite.cli.stack.state import State
from worksite.cli.stack.supervisor import Program
from worksite.common.processes import free_port
from worksite.common.testing.balancing import Balancer, balanced

pytestmark = [pytest.mark.timed, pytest.mark.timeout(900), pytest.mark.asyncio]

ROOT = Path(__file__).parents[2]
SERVICES = ("gateway", "admin", "architect", "builder", "validator", "rag")
WHOLE = {"request": "A bookshop API with title, price and stock"}
CHEAP = (
    {"request": "How does a task get its route?", "route": "question"},
    {"request": "A bookshop API with title, price and stock", "route": "design"},
)
NOTE = "# Routes\n\nA task gets its route from the admin service: by rules, then by a classifier, then by a model.\n"
AT_WORK = {"builder": "3-build", "validator": "4-validate"}
"""The step of the whole task at which they are replaced."""
GRACE_SECONDS = 15.0
PATIENCE_SECONDS = 400.0


@dataclass
class Fleet:
    """A stack of one process per service but for two gateways, in which each can be replaced."""

    stack: Stack
    state: State
    balancer: Balancer
    log: list[str]
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(2))
    names: dict[str, list[str]] = field(default_factory=lambda: {service: [service] for service in SERVICES})

    async def start(self, service: str) -> None:
        """One more of it, as in a container of its own; returns when it is ready."""
        name, port = f"{service}-{next(self._numbers)}", free_port()
        folder = self.state.root / name
        folder.mkdir()
        wiring = service_environment(service, self.state, ROOT, self.stack.nats_url, port, os.environ)
        environment = wiring | {"STATE_DIR": str(folder), "HOME": str(folder)}
        argv = [sys.executable, "-m", f"worksite.{service}.main"]
        self.stack.supervisor.start(Program(name, argv, environment, GRACE_SECONDS))
        self.names[service].append(name)
        url = f"http://127.0.0.1:{port}"
        if service == "gateway":
            self.balancer.add(url)
            await self.balancer.until_ready(url)
        await self._until_ready(url)

    async def replace(self, service: str) -> None:
        """A new process, and when it is ready, SIGTERM for the oldest."""
        await self.start(service)
        await self.stack.supervisor.stop(self.names[service].pop(0))

    async def _until_ready(self, url: str) -> None:
        async with httpx.AsyncClient(timeout=5, trust_env=False) as http:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if (await http.get(f"{url}/readyz")).status_code == 200:
                        return
                await asyncio.sleep(0.05)


@dataclass
class Load:
    """Clients that never try again, and remember what failed."""

    http: httpx.AsyncClient
    failures: list[str] = field(default_factory=list[str])
    answered: Counter[str] = field(default_factory=Counter[str])
    seen: dict[str, list[int]] = field(default_factory=dict[str, list[int]])
    """The events of each task that its client was sent, in order."""
    _stop: asyncio.Event = field(default_factory=asyncio.Event)
    _keys: itertools.count[int] = field(default_factory=itertools.count)

    @contextlib.asynccontextmanager
    async def going_on(self) -> AsyncGenerator[None]:
        """While it is open; every task has ended when it closes."""
        clients = [asyncio.create_task(self._work(body)) for body in CHEAP]
        clients += [asyncio.create_task(self._look_on(pause)) for pause in (0.05, 0.3, 2.0, 5.0)]
        try:
            yield
        finally:
            self._stop.set()
            await asyncio.gather(*clients)

    async def _work(self, body: dict[str, str]) -> None:
        """One task after the other, each followed to its end."""
        while not self._stop.is_set():
            if task := await self.submitted(body):
                await self.follow(task)

    async def _look_on(self, pause: float) -> None:
        """A client with a pause between its requests: some take an idle connection, some find it closed."""
        while not self._stop.is_set():
            await self.ask("list", "GET", "/v1/tasks")
            await self.ask("search", "POST", "/v1/search", json={"query": "routes"})
            for task in list(self.seen)[-1:]:
                await self.ask("get", "GET", f"/v1/tasks/{task}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), pause)

    async def submitted(self, body: dict[str, str]) -> str | None:
        key = {"Idempotency-Key": f"replaced-{next(self._keys)}"}
        answer = await self.ask("submit", "POST", "/v1/tasks", json=body, headers=key)
        if answer is None:
            return None
        task = answer.json()["id"]
        if task in self.seen:
            self.failures.append(f"submit: {task} is told twice")
        self.seen[task] = []
        return task

    async def ask(self, what: str, method: str, path: str, **given: Any) -> httpx.Response | None:
        """None where it failed."""
        try:
            answer = await self.http.request(method, path, **given)
        except httpx.HTTPError as error:
            self.failures.append(f"{what}: {error!r}")
            return None
        if not answer.is_success:
            self.failures.append(f"{what}: {answer.status_code} {answer.text}")
            return None
        self.answered[what] += 1
        return answer

    async def follow(self, task: str) -> None:
        """To its end; where the stream ends before, from there on over another connection."""
        ids = self.seen[task]
        while await self._read_on(task, ids):
            self.answered["follow"] += 1

    async def _read_on(self, task: str, ids: list[int]) -> bool:
        """False when there is nothing more, or it failed."""
        headers = {"Last-Event-ID": str(ids[-1])} if ids else {}
        try:
            async with self.http.stream("GET", f"/v1/tasks/{task}/events", headers=headers) as source:
                if source.status_code not in (200, 204):
                    self.failures.append(f"follow: {source.status_code}")
                async for line in source.aiter_lines():
                    if line.startswith("id:"):
                        ids.append(int(line[3:]))
                return source.status_code == 200
        except httpx.HTTPError as error:
            self.failures.append(f"follow: {error!r}")
            return False


@contextlib.asynccontextmanager
async def fleet_of_two_gateways(directory: Path) -> AsyncGenerator[tuple[Fleet, Load]]:
    state, log = State(directory / "state"), list[str]()
    state.root.mkdir()
    state.wheelhouse.symlink_to(ROOT / ".worksite" / "wheelhouse")

    def keep(name: str, line: str) -> None:
        log.append(f"{name} | {line}")

    async with running_stack(state, ROOT, Ports(0, 0), keep) as stack, balanced(stack.gateway_url) as balancer:
        fleet = Fleet(stack, state, balancer, log)
        await fleet.start("gateway")
        token = await Access(stack.gateway_url, state, ClientSettings()).token()
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(base_url=balancer.url, headers=headers, timeout=30, trust_env=False) as http:
            yield fleet, Load(http)


async def until(condition: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():
            await asyncio.sleep(0.2)


async def recorded(http: httpx.AsyncClient, task: str) -> list[dict[str, Any]]:
    answer = await http.get(f"/v1/tasks/{task}/events", params={"follow": "false", "after": "0"})
    return [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:") and line[5:].strip()]


async def listed(http: httpx.AsyncClient) -> list[str]:
    """Every task there is."""
    found, query = list[str](), {"limit": "100"}
    while True:
        page = (await http.get("/v1/tasks", params=query)).json()
        found += [row["id"] for row in page["tasks"]]
        if not page.get("next"):
            return found
        query["cursor"] = page["next"]


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Little to index, clients that are not held back, and a gateway that leaves as it does behind a balancer."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "routes.md").write_text(NOTE)
    monkeypatch.setenv("KNOWLEDGE_DIRS", str(tmp_path / "notes"))
    for limit in ("RATE_PER_PRINCIPAL", "BURST_PER_PRINCIPAL", "RATE_PER_TENANT", "BURST_PER_TENANT"):
        monkeypatch.setenv(limit, "5000")
    monkeypatch.setenv("DRAIN_SECONDS", "2")
    return tmp_path


async def replaced_one_by_one(fleet: Fleet, load: Load) -> None:
    """Both gateways and the other services, builder and validator while they are at work."""
    whole = await load.submitted(WHOLE)
    assert whole
    following = asyncio.create_task(load.follow(whole))

    async def in_flight(step: str) -> bool:
        return any(event["body"].get("step") == step for event in await recorded(load.http, whole))

    for service in ("gateway", *SERVICES):
        if step := AT_WORK.get(service):
            await until(lambda wanted=step: in_flight(wanted))
        await fleet.replace(service)
    await following


async def test_each_service_is_replaced_under_load_and_no_request_fails_and_no_task_is_lost_or_doubled(
    surroundings: Path,
) -> None:
    async with fleet_of_two_gateways(surroundings) as (fleet, load):
        async with load.going_on():
            await replaced_one_by_one(fleet, load)

        assert load.failures == [], "\n".join(fleet.log[-100:])
        assert not [line for line in fleet.log if "did not stop" in line]
        assert all(load.answered[what] >= 10 for what in ("submit", "list", "get", "search", "follow")), load.answered
        assert sorted(await listed(load.http)) == sorted(load.seen)
        for task, ids in load.seen.items():
            events = await recorded(load.http, task)
            assert ids == [event["sequence"] for event in events], "each event was sent once, over whichever gateway"
            states = [event["body"] for event in events if event["kind"] == "state"]
            results = Counter(event["step"] for event in events if event["kind"] == "result")
            assert [state["status"] for state in states].count("completed") == 1
            assert states[-1]["status"] == "completed"
            assert len({state["cause"] for state in states}) == len(states), "no event was applied twice"
            assert set(results.values()) == {1}
