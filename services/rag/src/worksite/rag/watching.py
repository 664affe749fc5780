"""Watches folders and makes the library look at what changed.

Events come from the kernel in a thread, in bursts and without promise: an editor saves by renaming, git writes and
removes by the hundred. So an event is only a hint at a path. Hints are collected until there is silence, then looked
at; and at times everything is, for hints that never came.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import ObservedWatch
from worksite.common.bus.consumer import backoff
from worksite.rag.folders import Folder
from worksite.rag.ignoring import GITIGNORE, is_outside_by_name
from worksite.rag.library import Library

log = logging.getLogger(__name__)

QUIET_SECONDS = 0.2
"""Silence after which hints are looked at: a save is over by then."""
LONGEST_SECONDS = 1.0
"""Hints that do not end are looked at all the same."""
SWEEP_SECONDS = 300.0
_TELLING = frozenset({"created", "modified", "moved", "deleted", "closed"})
"""Kinds of events that speak of a change; files are opened and closed by reading too, ours among others."""


class Watcher(FileSystemEventHandler):
    """Hints from the kernel for one library. Use it as a context; `run` works until cancelled."""

    def __init__(self, library: Library, sweep_seconds: float = SWEEP_SECONDS) -> None:
        self._library = library
        self._sweep_seconds = sweep_seconds
        self._loop = asyncio.get_running_loop()
        self._observer = Observer()
        self._watched: dict[Path, tuple[int, ObservedWatch]] = {}
        self._hints: dict[Path, None] = {}
        self._hinted = asyncio.Event()

    async def __aenter__(self) -> Watcher:
        self._observer.start()
        await asyncio.to_thread(self._watch_roots)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._observer.stop()
        await asyncio.to_thread(self._observer.join)

    def dispatch(self, event: FileSystemEvent) -> None:
        """Called by the observer's thread."""
        if event.event_type not in _TELLING or (event.is_directory and event.event_type == "modified"):
            return
        for name in filter(None, (event.src_path, event.dest_path)):
            path = Path(name if isinstance(name, str) else name.decode(errors="surrogateescape"))
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self.hint, path)

    def hint(self, path: Path) -> None:
        """Something may have changed at a path. Rules that changed concern everything around them."""
        path = path.parent if path.name == GITIGNORE else path
        if not any(_is_outside(path, folder) for folder in self._library.folders):
            self._hints[path] = None
            self._hinted.set()

    async def run(self) -> None:
        """Look at what is hinted at and, at times, at everything; sooner again after trouble."""
        loop = asyncio.get_running_loop()
        failures = 0
        next_sweep = loop.time() + self._sweep_seconds
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(next_sweep):
                    await self._hinted.wait()
            is_hinted = loop.time() < next_sweep
            failures = 0 if await self._settled(self._look if is_hinted else self._sweep) else failures + 1
            due = loop.time() + (backoff(failures) if failures else self._sweep_seconds)
            next_sweep = min(next_sweep, due) if is_hinted else due

    async def catch_up(self) -> bool:
        """Look at what was hinted at so far; True when there was nothing. Not while `run` works."""
        if not self._hints:
            return True
        await self._look()
        return False

    async def _settled(self, work: Callable[[], Awaitable[None]]) -> bool:
        try:
            await work()
        except Exception as error:  # the boundary: the store is away, say, which its probes tell
            log.warning("not all folders could be looked at: %s", error or repr(error))
            return False
        return not self._library.unsettled

    async def _sweep(self) -> None:
        await asyncio.to_thread(self._watch_roots)
        await self._library.sweep()

    async def _look(self) -> None:
        await self._quiet()
        hints, self._hints = self._hints, {}
        self._hinted.clear()
        for path in await asyncio.to_thread(_outermost, hints):
            await self._library.look(path)

    async def _quiet(self) -> None:
        """Until hints have stopped coming for a moment, or have come for too long."""
        loop = asyncio.get_running_loop()
        longest = loop.time() + LONGEST_SECONDS
        before = -1
        while before < len(self._hints) and loop.time() < longest:
            before = len(self._hints)
            await asyncio.sleep(QUIET_SECONDS)

    def _watch_roots(self) -> None:
        """Watch every folder that is there; one that was replaced since is another one to the kernel."""
        for folder in self._library.folders:
            try:
                inode = folder.root.stat().st_ino
                before = self._watched.pop(folder.root, None)
                if before and before[0] == inode:
                    self._watched[folder.root] = before
                    continue
                if before:
                    self._observer.unschedule(before[1])
                self._watched[folder.root] = inode, self._observer.schedule(self, str(folder.root), recursive=True)
            except OSError as error:  # gone, or more folders than the kernel watches for one user
                log.warning("not watched, looked at every %.0f s: %s: %s", self._sweep_seconds, folder.root, error)


def _is_outside(path: Path, folder: Folder) -> bool:
    """Lies this in a part of the folder that never counts, such as `.git`?"""
    return path.is_relative_to(folder.root) and any(map(is_outside_by_name, path.relative_to(folder.root).parts))


def _outermost(paths: Collection[Path]) -> list[Path]:
    """Looking at a folder is looking at all in it."""
    return [path for path in paths if not any(above in paths for above in path.parents)]
