"""The folders that steps work in: a fresh one per attempt, kept when the attempt fails, within a cap and for a day.

Nothing is removed before its result is stored: leaving `attempt` without an error means that it is. A folder at work is
locked by its process, and the kernel unlocks it however that process ends: what is not locked is a leftover. Process
ids would not tell, because a container that starts again has those of before.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from worksite.common.errors import StepRefused

STALE_SECONDS = 24 * 3600.0
_SWEEP_SECONDS = 600.0
_BLOCK_BYTES = 512  # what st_blocks counts in, whatever the file system


@dataclass(frozen=True)
class Workplaces:
    """The folders below `state_dir`; those of attempts that ended without a result take `max_leftover_bytes` at most."""

    state_dir: Path
    max_leftover_bytes: int

    @contextlib.asynccontextmanager
    async def attempt(self, task: str, step: str) -> AsyncIterator[Path]:
        """A folder of this attempt's own. It replaces those of earlier attempts, which were fenced off or failed."""
        folder, lock = await asyncio.to_thread(self._open, f"{task}-{step}-")
        try:
            yield folder
        except BaseException as error:
            if isinstance(error, StepRefused):  # nothing was made that could be lost
                await asyncio.to_thread(_remove, folder)
            os.close(lock)
            await asyncio.to_thread(self.sweep)
            raise
        await asyncio.to_thread(_remove, folder)
        os.close(lock)

    async def keep_swept(self, stop: asyncio.Event, every_seconds: float = _SWEEP_SECONDS) -> None:
        """Sweep now and then until `stop`: a builder may run for months."""
        while not stop.is_set():
            await asyncio.to_thread(self.sweep)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_seconds)

    def clear(self) -> None:
        """Remove all leftovers: those of a process that ended help nobody, as each attempt begins afresh."""
        self._keep(0)

    def sweep(self) -> None:
        """Remove the leftovers of more than a day, and the oldest of the others until they are within the cap."""
        self._keep(self.max_leftover_bytes)

    def _keep(self, max_bytes: int) -> None:
        with ExitStack() as locked:
            found = [folder for folder in self._folder.glob("*") if locked.enter_context(_unused(folder))]
            sizes = {folder: _bytes_in(folder) for folder in found}
            total, stale = sum(sizes.values()), time.time() - STALE_SECONDS
            for folder in sorted(found, key=_changed):
                if max_bytes and total <= max_bytes and _changed(folder) > stale:
                    return
                total -= sizes[folder]
                _remove(folder)

    @property
    def _folder(self) -> Path:
        return self.state_dir.resolve() / "steps"

    def _open(self, prefix: str) -> tuple[Path, int]:
        self._folder.mkdir(parents=True, exist_ok=True)
        for earlier in self._folder.glob(f"{prefix}*"):
            with _unused(earlier) as leftover:
                if leftover:
                    _remove(earlier)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._folder))
            if (lock := _lock(folder)) is not None:  # else another builder swept it in between
                return folder, lock


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder until it is closed; None when somebody else holds it, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return None
    with ExitStack() as undo:
        undo.callback(os.close, descriptor)
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if folder.exists():
                undo.pop_all()
                return descriptor
    return None


@contextmanager
def _unused(folder: Path) -> Iterator[bool]:
    """Whether nobody works in it; then nobody can begin to inside the block."""
    lock = _lock(folder)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def _changed(folder: Path) -> float:
    return folder.stat().st_mtime


def _bytes_in(folder: Path) -> int:
    """What it takes on the disk, as far as it can be told while a process of a killed builder still writes there."""
    total = 0
    for directory, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):
                total += os.lstat(Path(directory, name)).st_blocks * _BLOCK_BYTES
    return total


def _remove(folder: Path) -> None:
    """As far as possible: a process of a killed builder may still be writing there; the sweep gets the rest."""
    shutil.rmtree(folder, ignore_errors=True)
