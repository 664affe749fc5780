"""The folders that steps work in: a fresh one per attempt, kept when the attempt fails, within a cap and for a day.

Nothing is removed before its result is stored: leaving `attempt` without an error means that it is. A folder at work is
locked by its process, and the kernel unlocks it however that process ends: what is not locked is a leftover. Process
ids would not tell, because a container that starts again has those of before.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from worksite.common.errors import StepRefused

log = logging.getLogger(__name__)
STALE_SECONDS = 24 * 3600.0
_SWEEP_SECONDS = 600.0
_BLOCK_BYTES = 512  # what st_blocks counts in, whatever the file system


@dataclass(frozen=True)
class Workplaces:
    """The folders below `state_dir`. What attempts without a result have left takes `max_leftover_bytes` at most."""

    state_dir: Path
    max_leftover_bytes: int

    @asynccontextmanager
    async def attempt(self, task: str, step: str) -> AsyncIterator[Path]:
        """A folder of this attempt's own. It replaces those of earlier attempts, which failed or were fenced off."""
        prefix = f"{task}-{step}-"
        await asyncio.to_thread(self._remove_earlier, prefix)
        try:
            with self._new(prefix) as folder:
                try:
                    yield folder
                except StepRefused:  # nothing was made that could be lost
                    await asyncio.to_thread(_remove, folder)
                    raise
                await asyncio.to_thread(_remove, folder)
        except BaseException as error:
            if not isinstance(error, StepRefused):
                await asyncio.to_thread(self.sweep)
            raise

    async def keep_swept(self, stop: asyncio.Event, every_seconds: float = _SWEEP_SECONDS) -> None:
        """Sweep now and then until `stop`: a builder may run for months."""
        while not stop.is_set():
            await asyncio.to_thread(self.sweep)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), every_seconds)

    def clear(self) -> None:
        """Remove every leftover: each attempt begins afresh, so what an ended process left is of no use to anybody."""
        self._prune(max_bytes=0, since=float("inf"))

    def sweep(self) -> None:
        """Remove the leftovers of more than a day, and the oldest of the others until they are within the cap."""
        try:
            self._prune(self.max_leftover_bytes, since=time.time() - STALE_SECONDS)
        except OSError as error:  # the work itself goes on
            log.warning("sweeping is put off: %s", error)

    def _prune(self, max_bytes: int, since: float) -> None:
        leftovers = sorted(found for folder in self._folder.glob("*") if (found := _leftover(folder)))
        total = sum(size for _, size, _ in leftovers)
        for changed, size, folder in leftovers:
            if total <= max_bytes and changed > since:
                return
            _remove_unused(folder)
            total -= size

    @property
    def _folder(self) -> Path:
        return self.state_dir.resolve() / "steps"

    def _remove_earlier(self, prefix: str) -> None:
        for earlier in self._folder.glob(f"{prefix}*"):
            _remove_unused(earlier)

    @contextmanager
    def _new(self, prefix: str) -> Iterator[Path]:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            folder = Path(tempfile.mkdtemp(prefix=prefix, dir=self._folder))
            with _locked(folder) as lock:
                if lock is not None:  # else another builder swept it before it was locked
                    yield folder
                    return


@contextmanager
def _locked(folder: Path) -> Iterator[int | None]:
    """Its descriptor, with a lock until the end of the block; None where somebody else works in it, or it is gone."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = folder.exists()
    except BlockingIOError:
        free = False
    try:
        yield descriptor if free else None
    finally:
        os.close(descriptor)


def _leftover(folder: Path) -> tuple[float, int, Path] | None:
    """When it was changed last, the bytes it takes and itself; None for one at work."""
    with _locked(folder) as lock:
        return None if lock is None else (os.fstat(lock).st_mtime, _bytes_in(folder), folder)


def _bytes_in(folder: Path) -> int:
    """What it takes on the disk, as far as it can be told while a process of a killed builder still writes there."""
    total = 0
    for directory, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with contextlib.suppress(OSError):
                total += Path(directory, name).lstat().st_blocks * _BLOCK_BYTES
    return total


def _remove_unused(folder: Path) -> None:
    with _locked(folder) as lock:
        if lock is not None:
            _remove(folder)


def _remove(folder: Path) -> None:
    """As far as possible: a process of a killed builder may still be writing there; the sweep gets the rest."""
    shutil.rmtree(folder, ignore_errors=True)
