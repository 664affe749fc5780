"""What every command that talks to a gateway needs: whose gateway, in whose name, and where to write."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from worksite.cli import places
from worksite.cli.client.access import DEFAULT_ROLE, DEFAULT_TENANT, Access, ClientSettings, NoAccess
from worksite.cli.client.gateway import Gateway
from worksite.cli.stack.embedded import Ports, running_stack
from worksite.cli.stack.log import StackLog
from worksite.cli.stack.state import State

_STOPPING = "stopping, which can take 10 s; an unfinished task goes on when a stack is started again"
_LEAVING = "no longer followed; the stack runs on, and an unfinished task with it ('worksite watch' follows it again)"
T = TypeVar("T")


@dataclass(frozen=True)
class Screen:
    """Progress goes to standard error and results to standard output, so that results can be piped."""

    progress: Console = field(default_factory=lambda: Console(stderr=True))
    results: Console = field(default_factory=Console)

    def say(self, text: str) -> None:
        """A line about what is going on."""
        self.progress.print(text, style="dim", highlight=False, markup=False, soft_wrap=True)

    def tell(self, text: str) -> None:
        """A line of the result, as it is."""
        self.results.print(text, highlight=False, markup=False, soft_wrap=True)


@dataclass(frozen=True)
class Session:
    """One person at one gateway."""

    state: Path
    tenant: str
    screen: Screen = field(default_factory=Screen)

    def gateway(self, role: str = DEFAULT_ROLE) -> Gateway:
        """Raises NoAccess when there is none."""
        return Gateway(Access.find(self.state), self.tenant, self.screen.say, role)

    def has_gateway(self) -> bool:
        """False where a stack has to be started first."""
        try:
            Access.find(self.state)
        except NoAccess:
            return ClientSettings().url is not None  # a wrong address is an error to report, not a reason to start one
        return True

    def command(self, *words: str) -> str:
        """A line to type that reaches the same gateway in the same name."""
        program = "worksite" if shutil.which("worksite") else sys.argv[0]
        options = [] if self.state == places.state().absolute() else ["--state", str(self.state)]
        options += [] if self.tenant == DEFAULT_TENANT else ["--tenant", self.tenant]
        return shlex.join([program, *words, *options])


@dataclass(frozen=True)
class StackOptions:
    """How to start a stack where none is running."""

    root: Path
    ports: Ports


async def on_some_stack(session: Session, options: StackOptions, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Work against the gateway that is there, or else against a stack started for it and stopped afterwards.

    Raises what a part of our own stack raised when it cannot go on.
    """
    ours = not session.has_gateway()
    async with _own_stack(session, options) if ours else _somebodys() as failed:
        working = asyncio.create_task(work())
        try:
            await asyncio.wait({working, failed}, return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            return await working
        except asyncio.CancelledError:
            session.screen.say(_STOPPING if ours else _LEAVING)
            raise
        finally:
            working.cancel()
            await asyncio.wait({working})


@contextlib.asynccontextmanager
async def _somebodys() -> AsyncGenerator[asyncio.Future[None]]:
    """Somebody else looks after a stack that is there already."""
    yield asyncio.get_running_loop().create_future()


@contextlib.asynccontextmanager
async def _own_stack(session: Session, options: StackOptions) -> AsyncGenerator[asyncio.Future[None]]:
    """Yields what fails when a part of our own stack cannot go on."""
    state = State(session.state)
    async with contextlib.AsyncExitStack() as stack:
        log = stack.enter_context(StackLog(state.log))
        started = time.monotonic()
        with session.screen.progress.status("starting the stack"):
            running = await stack.enter_async_context(running_stack(state, options.root, options.ports, log.write))
        session.screen.say(f"stack ready in {time.monotonic() - started:.1f} s, log in {_short(state.log)}")
        yield running.supervisor.failed


def _short(path: Path) -> Path:
    """Relative to where we are, when it is below."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
