"""The folders that steps work in: a fresh one per attempt, kept when the attempt fails, swept after a day.

Nothing is removed before its result is stored: leaving `attempt` without an error means that it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from worksite.common.errors import StepRefused

STALE_SECONDS = 24 * 3600.0


@contextlib.asynccontextmanager
async def attempt(state_dir: Path, task: str, step: str) -> AsyncIterator[Path]:
    """A folder of this attempt's own. It replaces those of earlier attempts, which were fenced off or failed."""
    folder = await asyncio.to_thread(_open, _steps(state_dir), f"{task}-{step}-")
    try:
        yield folder
    except StepRefused:  # nothing was made that could be lost
        await asyncio.to_thread(_remove, folder)
        raise
    await asyncio.to_thread(_remove, folder)


def sweep(state_dir: Path) -> None:
    """Remove folders of attempts that nobody came back to for a day."""
    for folder in _steps(state_dir).glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > STALE_SECONDS:
                _remove(folder)


def _steps(state_dir: Path) -> Path:
    return state_dir.resolve() / "steps"


def _open(steps: Path, prefix: str) -> Path:
    steps.mkdir(parents=True, exist_ok=True)
    sweep(steps.parent)  # a builder may run for months
    for earlier in steps.glob(f"{prefix}*"):
        _remove(earlier)
    return Path(tempfile.mkdtemp(prefix=prefix, dir=steps))


def _remove(folder: Path) -> None:
    """As far as possible: a process of a killed builder may still be writing there; the sweep gets the rest."""
    shutil.rmtree(folder, ignore_errors=True)
