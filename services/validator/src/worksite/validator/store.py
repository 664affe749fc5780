"""Content-addressed directories that are built once, then only read."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

Build = Callable[[Path], Awaitable[None]]


class ReadOnlyStore:
    """`directory/<key>`, complete or absent: built beside it, made read-only, renamed into place."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._building: dict[str, asyncio.Lock] = {}

    async def provide(self, key: str, build: Build) -> Path:
        """The directory of this key, built if it is not there yet; concurrent callers wait for one build."""
        target = self._directory / key
        async with self._building.setdefault(key, asyncio.Lock()):
            if not target.exists():
                await self._build(target, build)
        os.utime(target)  # `prune` keeps what was used last
        return target

    def prune(self, keep: int) -> None:
        """Remove what a crash left half-built, and all but the `keep` directories used last. Nothing may run."""
        if not self._directory.exists():
            return
        found = sorted(self._directory.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        drafts = [path for path in found if path.name.startswith("draft-")]
        for path in [*drafts, *[path for path in found if path not in drafts][keep:]]:
            _remove(path)

    async def _build(self, target: Path, build: Build) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o755)  # the sandbox user passes through
        draft = Path(tempfile.mkdtemp(prefix="draft-", dir=self._directory))
        try:
            await build(draft)
            await asyncio.to_thread(_publish, draft, target)
        except BaseException:
            await asyncio.to_thread(_remove, draft)
            raise


def _publish(draft: Path, target: Path) -> None:
    for path in draft.rglob("*"):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            path.chmod(0o555 if executable else 0o444)
    draft.chmod(0o755)
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same content
            raise
        _remove(draft)


def _remove(directory: Path) -> None:
    for path in [directory, *(each for each in directory.rglob("*") if each.is_dir() and not each.is_symlink())]:
        path.chmod(0o755)
    shutil.rmtree(directory)
