"""What each command does; `main.py` only parses."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from worksite.cli.client import output, verdict
from worksite.cli.client.access import Access, NoAccess
from worksite.cli.client.display import Display
from worksite.cli.client.gateway import Gateway
from worksite.cli.stack.embedded import Ports, Stack, running_stack
from worksite.cli.stack.log import StackLog
from worksite.cli.stack.state import State
from worksite.common.bus import Bus, BusSettings, provision


@dataclass(frozen=True)
class Submission:
    """A request as the command line gave it."""

    request: str
    route: str | None = None
    name: str | None = None
    git_url: str | None = None
    ref: str | None = None

    def body(self) -> dict[str, object]:
        """What `POST /v1/tasks` takes."""
        project = {"git_url": self.git_url, "ref": self.ref, "name": self.name}
        body: dict[str, object] = {"request": self.request}
        if given := {name: value for name, value in project.items() if value}:
            body["project"] = given
        if self.route:
            body["route"] = self.route
        return body


async def up(state_dir: Path, root: Path, ports: Ports, console: Console) -> None:
    """Run the stack in the foreground until Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    state = State(state_dir)
    with StackLog(state.log, echo=True) as log:
        async with running_stack(state, root, ports, log.write) as stack:
            _announce(stack, console)
            waiting = asyncio.create_task(stop.wait())
            await asyncio.wait({waiting, stack.supervisor.failed}, return_when=asyncio.FIRST_COMPLETED)
            console.print("stopping: finishing or handing back what is running", style="dim")
            if stack.supervisor.failed.done():
                stack.supervisor.failed.result()


async def run(
    submission: Submission, state_dir: Path, root: Path, ports: Ports, out: Path, tenant: str, console: Console
) -> int:
    """Submit, follow, fetch; start a stack first when none is running, and then stop it again."""
    async with _some_stack(state_dir, root, ports, console), Gateway(Access.find(state_dir), tenant) as gateway:
        task = await gateway.submit(submission.body(), idempotency_key=uuid.uuid4().hex)
        view = await _followed(gateway, task, console)
        return await _conclude(gateway, view, out, console)


async def submit(submission: Submission, state_dir: Path, tenant: str, idempotency_key: str | None) -> str:
    """Returns the task id."""
    async with Gateway(Access.find(state_dir), tenant) as gateway:
        return await gateway.submit(submission.body(), idempotency_key or uuid.uuid4().hex)


async def watch(task: str, state_dir: Path, out: Path, tenant: str, console: Console) -> int:
    """Follow a task to its end and fetch what it made."""
    async with Gateway(Access.find(state_dir), tenant) as gateway:
        await gateway.task(task)
        view = await _followed(gateway, task, console)
        return await _conclude(gateway, view, out, console)


async def search(query: str, top_k: int, mode: str, state_dir: Path, tenant: str, console: Console) -> None:
    """Print passages with their places."""
    async with Gateway(Access.find(state_dir), tenant) as gateway:
        answer = await gateway.search({"query": query, "top_k": top_k, "mode": mode})
    table = Table("score", "place", "passage", box=None, pad_edge=False)
    for found in answer["results"]:
        place = f"{found['path']}:{found['start_line']}-{found['end_line']}"
        table.add_row(f"{found['score']:.3f}", place, " ".join(str(found["text"]).split())[:160])
    console.print(table if answer["results"] else "nothing found")
    total = sum(answer["timings_ms"].values())
    console.print(f"{len(answer['results'])} results, {total:.0f} ms, reranked: {answer['reranked']}", style="dim")


async def token(state_dir: Path, tenant: str, role: str) -> str:
    """A bearer token."""
    return await Access.find(state_dir).token(tenant, role)


async def create_streams(settings: BusSettings, disk_bytes: int, replicas: int) -> None:
    """Provision the bus."""
    bus = await Bus.connect(settings)
    try:
        await provision(bus, disk_bytes, replicas)
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def _some_stack(state_dir: Path, root: Path, ports: Ports, console: Console) -> AsyncGenerator[None]:
    """The stack that is running, else one of our own for the length of the block."""
    if await _reachable(state_dir):
        yield
        return
    state = State(state_dir)
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(StackLog(state.log, echo=False))
        started = time.monotonic()
        with console.status("starting the stack"):
            await stack.enter_async_context(running_stack(state, root, ports, log.write))
        console.print(f"stack ready in {time.monotonic() - started:.1f} s, log in {state.log}", style="dim")
        yield


async def _reachable(state_dir: Path) -> bool:
    try:
        await Access.find(state_dir).token()
    except NoAccess:
        return False
    return True


async def _followed(gateway: Gateway, task: str, console: Console) -> dict[str, Any]:
    async with contextlib.aclosing(gateway.events(task)) as events:
        with Display(console, f"task {task}") as display:
            async for event in events:
                display.show(event)
    return await gateway.task(task)


async def _conclude(gateway: Gateway, view: dict[str, Any], out: Path, console: Console) -> int:
    target = await output.write(gateway, view, out) if view["artifacts"] else None
    for line in verdict.explanation(view):
        console.print(line, highlight=False, markup=False)
    line, code = verdict.conclusion(view, target)
    console.print(line, highlight=False, markup=False, soft_wrap=True)
    return code


def _announce(stack: Stack, console: Console) -> None:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("gateway", stack.gateway_url)
    table.add_row("admin", f"{stack.admin_url}/readyz")
    table.add_row("NATS", f"{stack.nats_url} (monitoring: {stack.monitor_url})")
    console.print("Worksite is ready. Ctrl-C stops it.", style="bold")
    console.print(table)
