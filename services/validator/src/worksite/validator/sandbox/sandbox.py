"""The sandbox that a service opens once and runs every candidate in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from worksite.validator.sandbox.job import Job, Outcome
from worksite.validator.sandbox.session import Session


@dataclass(frozen=True)
class Isolation:
    """What was proved at start-up: `layers` in words, `landlock_abi` 0 where there is none, `uid` of the candidate."""

    level: Literal["namespaces", "jail", "none"]
    layers: tuple[str, ...]
    landlock_abi: int
    uid: int


@dataclass(frozen=True)
class Sandbox:
    """`python` is an interpreter that a candidate can read and execute; `root` is reachable by the sandbox user."""

    isolation: Isolation
    python: Path
    root: Path

    async def run(self, job: Job) -> Outcome:
        """Run to the end. Raises `LauncherError` when the program could not be started; cancelling kills it."""
        async with self.open(job) as session:
            return await session.wait()

    @asynccontextmanager
    async def open(self, job: Job) -> AsyncIterator[Session]:
        """Start a program to talk to; on exit everything it started is killed and swept."""
        raise NotImplementedError
        yield

    @contextmanager
    def new_workspace(self) -> Iterator[Path]:
        """A fresh, private, empty directory below `root`, removed on exit whatever the program left in it."""
        raise NotImplementedError
        yield
