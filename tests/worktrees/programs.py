"""Processes that stand still where they are told to, so that a kill strikes there and nowhere else."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_HERE = Path(__file__).parent
_PATIENCE_SECONDS = 300
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.org")


@asynccontextmanager
async def running(program: str, *arguments: str | Path) -> AsyncIterator[Process]:
    """One of the programs beside this file; dead at the end of the block."""
    command = [sys.executable, str(_HERE / program), *map(str, arguments)]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(process: Process, beginning: str) -> str:
    """The rest of the first line that begins so. Raises EOFError when the process ends before."""
    assert process.stdout
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while line := (await process.stdout.readline()).decode():
            if line.startswith(beginning):
                return line.removeprefix(beginning).strip()
    raise EOFError(f"ended before it was {beginning}")


async def git(folder: Path, *arguments: str | Path) -> str:
    """What git says; nothing where it fails."""
    environment = {"PATH": os.environ["PATH"], "HOME": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    process = await asyncio.create_subprocess_exec(
        *GIT, *arguments, cwd=folder, env=environment, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
    )
    output, _ = await process.communicate()
    return output.decode().strip() if process.returncode == 0 else ""
