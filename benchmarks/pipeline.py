"""How many tasks a second go through everything but the agents' own work?

    python benchmarks/pipeline.py [--tasks N]

A real gateway and a real admin, each a process; the agents are workers that answer at once. Each task is submitted over
HTTP and goes import, design, build, validate, to `completed`: four commands, four results, five states or more, all of
them durable. Once with `sync_interval: always`, once with the server's default; nothing else differs. Beside the times
it counts what does not depend on the machine's load so much: messages stored, and processor time of each process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import tempfile
import time
import urllib.request
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import http_load
import processes
import uvloop
from table import machine, milliseconds, print_table
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.messages import (
    TERMINAL,
    BuildChange,
    DesignSpec,
    ImportProject,
    StepCommand,
    TaskState,
    ValidateChange,
)
from worksite.common.testing import examples, start_nats
from worksite.common.testing.nats import NatsServer
from worksite.common.worker import Reply, StepContext, Worker

CLIENTS = 16
WARM_UP = 16
AGENTS: Mapping[Any, Mapping[type[StepCommand], Any]] = {
    "builder": {ImportProject: examples.imported_project, BuildChange: examples.changeset},
    "architect": {DesignSpec: examples.spec_written},
    "validator": {ValidateChange: examples.judgement},
}


def answers(made: Any) -> Any:
    async def handle(_: StepCommand, __: StepContext) -> Reply:
        return Reply(made())

    return handle


@contextlib.asynccontextmanager
async def agents(bus: Bus) -> AsyncGenerator[None]:
    """Free ones: they answer at once."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as workers:
        for agent, made in AGENTS.items():
            handlers = {command: answers(make) for command, make in made.items()}
            workers.create_task(Worker(bus, agent, handlers, concurrency=8).run(stop))
        yield
        stop.set()


class Ends:
    """When tasks end, by the state that admin publishes."""

    def __init__(self) -> None:
        self._ended: dict[str, asyncio.Future[None]] = {}

    async def heard(self, message: Any) -> None:
        state = TaskState.consume(message.data)
        if state.status in TERMINAL:
            assert state.status == "completed", state
            self.of(state.task).set_result(None)

    def of(self, task: str) -> asyncio.Future[None]:
        return self._ended.setdefault(task, asyncio.get_running_loop().create_future())


async def run_tasks(port: int, token: str, ends: Ends, tasks: int) -> list[float]:
    """Seconds from the submission of each to its end, CLIENTS of them under way."""
    asked = http_load.request("POST", "/v1/tasks", token, json.dumps({"request": "Create auth system"}).encode())
    left, took = iter(range(tasks)), list[float]()

    async def client() -> None:
        for _ in left:
            began = time.perf_counter()
            connection = await http_load.Connection.open(port)  # a kept one is closed when a task takes seconds
            status, body = await connection.ask(asked)
            await connection.close()
            assert status == 202, body
            await ends.of(json.loads(body)["id"])
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return took


async def measure(nats: NatsServer, port: int, token: str, tasks: int) -> list[str]:
    bus, ends = await Bus.connect(BusSettings(nats.url, "bench")), Ends()
    await bus.client.subscribe(subjects.state_subject(processes.TENANT, "*"), cb=ends.heard)
    async with agents(bus):
        await run_tasks(port, token, ends, WARM_UP)
        stored, used, began = stored_messages(nats), processes.processor_seconds(), time.perf_counter()
        took = await run_tasks(port, token, ends, tasks)
        rate = tasks / (time.perf_counter() - began)
        writes = (stored_messages(nats) - stored) / tasks
        spent = [(now - used[name]) / tasks * 1e3 for name, now in sorted(processes.processor_seconds().items())]
    await bus.close()
    times = [f"{rate:.1f}", f"{milliseconds(took, 50):.0f}", f"{milliseconds(took, 99):.0f}"]
    return [*times, f"{writes:.1f}", *(f"{each:.1f}" for each in spent)]


def stored_messages(nats: NatsServer) -> int:
    """In all streams and buckets together, removed ones included."""
    with urllib.request.urlopen(f"http://127.0.0.1:{nats.monitor_port}/jsz?streams=true") as answer:
        (account,) = json.load(answer)["account_details"]
    return sum(stream["state"]["last_seq"] for stream in account["stream_detail"])


async def provisioned(url: str) -> None:
    bus = await Bus.connect(BusSettings(url, "bench"))
    await provision(bus, 1 << 30)
    await bus.close()


def pipeline(config: str, tasks: int) -> list[str]:
    with tempfile.TemporaryDirectory() as name, start_nats(Path(name), config) as nats:
        asyncio.run(provisioned(nats.url))
        environment = {"NATS_URL": nats.url, "ADMIN_PORT": "0", "LOG_LEVEL": "WARNING"}
        admin = processes.service("worksite.admin.main", Path(name), environment)
        with admin, processes.gateway(nats.url, Path(name)) as (port, token):
            return uvloop.run(measure(nats, port, token, tasks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=200)
    tasks = parser.parse_args().tasks
    print(f"\npipeline: {tasks} tasks each, {CLIENTS} under way; {machine()}\n")
    settings = {"always": 'jetstream: {sync_interval: "always"}\n', "the default, 2 minutes": ""}
    rows = [[name, *pipeline(config, tasks)] for name, config in settings.items()]
    used = [f"{name}, processor ms a task" for name in ("client and agents", "nats-server", "admin", "gateway")]
    print_table(["`sync_interval`", "tasks/s", "p50 ms", "p99 ms", "messages stored a task", *used], rows)


if __name__ == "__main__":
    main()
