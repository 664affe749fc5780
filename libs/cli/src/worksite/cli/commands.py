"""What each command does; `main.py` only parses."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from rich.console import Console
from rich.table import Table
from worksite.cli.client import output, verdict
from worksite.cli.client.access import Access, ClientSettings, NoAccess
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
    """Run the stack in the foreground until it is cancelled (Ctrl-C, SIGTERM)."""
    state = State(state_dir)
    with StackLog(state.log, echo=True) as log:
        async with running_stack(state, root, ports, log.write) as stack:
            _announce(stack, console)
            try:
                await stack.supervisor.failed
            finally:
                console.print("stopping: finishing or handing back what is running", style="dim")


async def run(
    submission: Submission, state_dir: Path, root: Path, ports: Ports, out: Path, tenant: str, console: Console
) -> int:
    """Submit, follow, fetch; start a stack first when none is running, and then stop it again."""
    async with _some_stack(state_dir, root, ports, console) as failed:
        working = asyncio.create_task(_run(submission, state_dir, out, tenant, console))
        try:
            await asyncio.wait({working, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            return await working
        except asyncio.CancelledError:
            console.print("stopping, which can take 10 s; an unfinished task goes on when a stack is started again")
            raise
        finally:
            working.cancel()
            await asyncio.wait({working})


async def _run(submission: Submission, state_dir: Path, out: Path, tenant: str, console: Console) -> int:
    async with Gateway(Access.find(state_dir), tenant) as gateway:
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


async def cancel(task: str, state_dir: Path, tenant: str) -> None:
    """Ask a task to end."""
    async with Gateway(Access.find(state_dir), tenant) as gateway:
        await gateway.cancel(task)


async def search(query: str, top_k: int, mode: str, state_dir: Path, tenant: str, console: Console) -> None:
    """Print passages with their places."""
    async with Gateway(Access.find(state_dir), tenant) as gateway:
        answer = await gateway.search({"query": query, "top_k": top_k, "mode": mode})
    for found in answer["results"]:
        place = f"{found['path']}:{found['start_line']}-{found['end_line']}"
        passage = shorten(str(found["text"]), 200, placeholder=" …")
        console.print(f"{found['score']:.3f}  {place}\n       {passage}", highlight=False, markup=False, soft_wrap=True)
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
async def _some_stack(
    state_dir: Path, root: Path, ports: Ports, console: Console
) -> AsyncGenerator[asyncio.Future[None]]:
    """The gateway that WORKSITE_URL names, the stack that runs here, or one of our own for the length of the block.

    Yields what fails when a part of our own stack cannot go on.
    """
    if _is_there(state_dir):
        yield asyncio.get_running_loop().create_future()
        return
    state = State(state_dir)
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(StackLog(state.log, echo=False))
        started = time.monotonic()
        with console.status("starting the stack"):
            running = await stack.enter_async_context(running_stack(state, root, ports, log.write))
        console.print(f"stack ready in {time.monotonic() - started:.1f} s, log in {_short(state.log)}", style="dim")
        yield running.supervisor.failed


def _is_there(state_dir: Path) -> bool:
    try:
        Access.find(state_dir)
    except NoAccess:
        return ClientSettings().url is not None  # a wrong address is an error to report, not a reason to start a stack
    return True


def _short(path: Path) -> Path:
    """Relative to where we are, when it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


async def _followed(gateway: Gateway, task: str, console: Console) -> dict[str, Any]:
    async with contextlib.aclosing(gateway.events(task)) as events:
        with Display(console, f"task {task}") as display:
            async for event in events:
                display.show(event)
    return await gateway.task(task)


async def _conclude(gateway: Gateway, view: dict[str, Any], out: Path, console: Console) -> int:
    target, trouble = await output.write(gateway, view, out) if view["artifacts"] else (None, None)
    for line in verdict.explanation(view):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if trouble:
        console.print(f"the branch is in branch.bundle, but was not checked out: {trouble}", markup=False)
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
