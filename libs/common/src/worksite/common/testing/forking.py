"""A service's process again and again, in milliseconds: its code is imported once and forked for each start.

For tests that kill a service many times: what is killed is a real process that runs the service's own `main`.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Mould:
    """Where processes come from, one at a time."""

    _process: Process

    async def start(self, environment: Mapping[str, str]) -> int:
        """A new one with just this environment; returns its process id."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(dict(environment)).encode() + b"\n")
        await self._process.stdin.drain()
        return int(await self._line())

    async def ended(self) -> int:
        """Waits for its end; the signal that killed it as a negative number, or its exit status."""
        return int(await self._line())

    async def _line(self) -> bytes:
        assert self._process.stdout
        line = await self._process.stdout.readline()
        assert line, "the mould is broken: see its standard error"
        return line


@asynccontextmanager
async def mould(module: str) -> AsyncGenerator[Mould]:
    """Of a module with a function `main`."""
    command = (sys.executable, "-m", __name__, module)
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    try:
        yield Mould(process)
    finally:
        assert process.stdin
        process.stdin.close()  # which ends it
        await process.communicate()


def _serve(module: str) -> None:
    main = importlib.import_module(module).main
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.environ.clear()
            os.environ.update(json.loads(line))
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            main()
            os._exit(0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1])
