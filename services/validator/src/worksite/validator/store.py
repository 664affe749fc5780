"""Content-addressed directories that are built once, then only read."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from worksite.validator.sandbox.trees import entries, remove_tree

_DRAFT = "draft-"

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
        self._retire(keep, ())
        for draft in self._directory.glob(f"{_DRAFT}*"):
            remove_tree(draft)

    async def prune_unused(self, keep: int, in_use: Collection[str]) -> None:
        """Remove all but the `keep` directories used last, and those whose keys are `in_use`."""
        for retired in self._retire(keep, in_use):
            await asyncio.to_thread(remove_tree, retired)

    def _retire(self, keep: int, in_use: Collection[str]) -> list[Path]:
        """Take directories out of use, at once: who asks for one from now on builds it anew."""
        kept = [path for path in self._directory.glob("*") if not path.name.startswith(_DRAFT)]
        kept.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        unused = (path for path in kept[keep:] if path.name not in in_use)
        return [path.rename(tempfile.mkdtemp(prefix=_DRAFT, dir=self._directory)) for path in unused]

    async def _build(self, target: Path, build: Build) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o755)  # the sandbox user passes through
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self._directory))
        try:
            await build(draft)
            await asyncio.to_thread(_publish, draft, target)
        except BaseException:
            await asyncio.to_thread(remove_tree, draft)
            raise


def _publish(draft: Path, target: Path) -> None:
    for directory, name in entries(draft):
        mode = os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode
        if not stat.S_ISLNK(mode):
            executable = stat.S_ISDIR(mode) or mode & stat.S_IXUSR
            os.chmod(name, 0o555 if executable else 0o444, dir_fd=directory)
    draft.chmod(0o755)
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():  # else another process was faster, with the same content
            raise
        remove_tree(draft)
