"""The disk under the bus: enough at the start, and a bus that comes back when a full disk has room again.

nats-server refuses every write to a stream after its first write failed for want of space, until it is restarted; so
somebody must restart it, and not before there is room, because a start on a full disk can lose a stream. It may
hang when it is told to end then.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

from worksite.cli.stack.errors import StateUnusable

NEEDED_BYTES = 256 << 20
"""Less free space than this and the first task would fill the disk (README: data takes about 400 MB)."""
_ROOM_BYTES = 64 << 20
_LOOK_EVERY_SECONDS = 2.0
_NO_SPACE = "no space left on device"


def free_bytes(directory: Path) -> int:
    """Free space for us on the disk of `directory`, or of the closest directory above that exists."""
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    return shutil.disk_usage(existing).free


def is_full(directory: Path) -> bool:
    """Is there so little left that the bus, once it failed to write, waits for more?"""
    return free_bytes(directory) < _ROOM_BYTES


def check(root: Path, free: int) -> None:
    """Raises StateUnusable when a stack on `root` would run out of space at once."""
    if free < NEEDED_BYTES:
        raise StateUnusable(
            f"only {free >> 20} MiB are free on the disk of {root}, and a stack needs {NEEDED_BYTES >> 20}: "
            "free some, or keep the state elsewhere with WORKSITE_STATE"
        )


class FullDisk:
    """Reads the bus's log for the failure, tells, waits for room, restarts the bus."""

    def __init__(
        self, log: Callable[[str, str], None], free: Callable[[], int], restart: Callable[[], Awaitable[None]]
    ) -> None:
        self._log, self._free, self._restart = log, free, restart
        self._seen = asyncio.Event()

    def saw(self, name: str, line: str) -> None:
        """One line of one program's log, handed on."""
        self._log(name, line)
        if name == "nats" and _NO_SPACE in line:
            self._seen.set()

    @contextlib.asynccontextmanager
    async def watched(self, every_seconds: float = _LOOK_EVERY_SECONDS) -> AsyncGenerator[None]:
        """Do so inside the block."""
        watching = asyncio.create_task(self._watch(every_seconds))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait({watching})

    async def _watch(self, every_seconds: float) -> None:
        while True:
            await self._seen.wait()
            self._log("worksite", "the disk is full: nothing is accepted until there is room; free some space")
            while self._free() < _ROOM_BYTES:  # noqa: ASYNC110 - nobody tells when there is room
                await asyncio.sleep(every_seconds)
            self._log("worksite", "the disk has room again: restarting nats-server")
            await self._restart()
            self._seen.clear()  # what it wrote until its end was of the same failure
