"""Content-addressed directories that are built once, then only read, by any number of services."""

from __future__ import annotations

import asyncio
import os
import secrets
import stat
import weakref
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from worksite.validator.sandbox.locks import new_directory, share, unused
from worksite.validator.sandbox.trees import entries, remove_tree

_DRAFT = "draft-"
_BLOCK_BYTES = 512  # what st_blocks counts in, whatever the file system

Build = Callable[[Path], Awaitable[None]]


@dataclass(frozen=True)
class Held:
    """No service removes the directory at `path` as long as somebody holds this object."""

    path: Path
    lock: int = field(compare=False, repr=False)

    def __post_init__(self) -> None:
        weakref.finalize(self, os.close, self.lock)


class ReadOnlyStore:
    """`directory/<key>`, complete or absent: built beside it, made read-only, renamed into place.

    All together take `max_bytes` at most, or what is in use if that is more.
    """

    def __init__(self, directory: Path, max_bytes: int) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self._building: dict[str, asyncio.Lock] = {}
        self._sizes: dict[str, int] = {}

    async def provide(self, key: str, build: Build) -> Held:
        """The directory of this key, built if it is not there yet; concurrent callers wait for one build."""
        target = self._directory / key
        async with self._building.setdefault(key, asyncio.Lock()):
            while (held := _held(target)) is None:
                await self._build(target, build)
        os.utime(target)  # `prune` keeps what was used last
        await asyncio.to_thread(self.prune)
        return held

    def prune(self) -> None:
        """Remove what a crash left half-built, and what was used longest ago until the rest is within the cap.

        Never what is in use, by whichever service.
        """
        for draft in self._directory.glob(f"{_DRAFT}*"):
            with unused(draft) as leftover:
                if leftover:
                    remove_tree(draft)
        kept = sorted(self._complete())
        total = sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total > self._max_bytes and self._retire(path):
                total -= size

    def _complete(self) -> list[tuple[float, int, Path]]:
        """When each was used last, the bytes it takes, and itself."""
        found: list[tuple[float, int, Path]] = []
        for path in self._directory.glob("*"):
            if not path.name.startswith(_DRAFT):
                with suppress(FileNotFoundError):  # another service removes it
                    found.append((path.stat().st_mtime, self._size(path), path))
        return found

    def _size(self, path: Path) -> int:
        """Measured once: it is only read from now on."""
        if path.name not in self._sizes:
            self._sizes[path.name] = bytes_in(path)
        return self._sizes[path.name]

    def _retire(self, path: Path) -> bool:
        """Remove it unless somebody uses it. Out of use at once: who asks for it from now on builds it anew."""
        with unused(path) as free:
            if free:
                retired = path.rename(path.with_name(f"{_DRAFT}{secrets.token_hex(8)}"))
                remove_tree(retired)
            return free

    async def _build(self, target: Path, build: Build) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        self._directory.chmod(0o755)  # the sandbox user passes through
        self._sizes.pop(target.name, None)
        with new_directory(self._directory, _DRAFT) as draft:
            try:
                await build(draft)
                await asyncio.to_thread(_publish, draft, target)
            except BaseException:
                await asyncio.to_thread(remove_tree, draft)
                raise


def bytes_in(directory: Path) -> int:
    """What its files take on the disk, as far as it can be told while they are written."""
    total, pending = 0, [str(directory)]
    while pending:
        try:
            with os.scandir(pending.pop()) as listing:
                for entry in listing:
                    total += entry.stat(follow_symlinks=False).st_blocks * _BLOCK_BYTES
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
        except OSError:
            continue  # moved meanwhile
    return total


def _held(path: Path) -> Held | None:
    lock = share(path)
    return None if lock is None else Held(path, lock)


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
