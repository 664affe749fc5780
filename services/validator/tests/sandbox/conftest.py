"""Sandboxes at every level this machine gives, and a short way to run a Python program in one."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from worksite.validator.sandbox import Job, Limits, Outcome, Sandbox, SandboxSettings, SandboxUnavailable, open_sandbox

RunPython = Callable[..., Awaitable[Outcome]]


@pytest.fixture(scope="session")
def sandbox_root() -> Iterator[Path]:
    """Not below pytest's own directories: only their owner can reach those."""
    root = Path(tempfile.mkdtemp(prefix="worksite-sandbox-tests-", dir="/var/tmp"))
    root.chmod(0o711)
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="session")
def open_level(sandbox_root: Path) -> Callable[[Any], Sandbox]:
    """Open the sandbox at one level, once per session; skips the test where the machine does not give it."""
    opened: dict[str, Sandbox | SandboxUnavailable] = {}

    def open_(mode: Any) -> Sandbox:
        if mode not in opened:
            try:
                settings = SandboxSettings(state_dir=sandbox_root, mode=mode, root=sandbox_root)
                opened[mode] = asyncio.run(open_sandbox(settings))
            except SandboxUnavailable as error:
                opened[mode] = error
        found = opened[mode]
        if isinstance(found, SandboxUnavailable):
            pytest.skip(str(found))
        return found

    return open_


@pytest.fixture(params=["jail", "namespaces"])
def sandbox(request: pytest.FixtureRequest, open_level: Callable[[Any], Sandbox]) -> Sandbox:
    return open_level(request.param)


@pytest_asyncio.fixture
async def workspace(sandbox: Sandbox) -> AsyncIterator[Path]:
    async with sandbox.new_workspace() as directory:
        yield directory


@pytest.fixture
def job(sandbox: Sandbox, workspace: Path) -> Callable[..., Job]:
    """A job that runs some Python source."""

    def job_(source: str, *arguments: str, limits: Limits | None = None, **more: Any) -> Job:
        argv = (str(sandbox.python), "-I", "-S", "-c", textwrap.dedent(source), *arguments)
        return Job(argv, workspace, limits=limits or Limits(wall_seconds=20), **more)

    return job_


@pytest.fixture
def run_python(sandbox: Sandbox, job: Callable[..., Job]) -> RunPython:
    async def run(source: str, *arguments: str, **more: Any) -> Outcome:
        return await sandbox.run(job(source, *arguments, **more))

    return run


@pytest.fixture
def running() -> Callable[[str], list[int]]:
    """The processes of this machine that have `marker` in their command line."""

    def running_(marker: str) -> list[int]:
        found: list[int] = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if marker.encode() in (process / "cmdline").read_bytes():
                    found.append(int(process.name))
            except OSError:
                continue  # ended meanwhile
        return found

    return running_
