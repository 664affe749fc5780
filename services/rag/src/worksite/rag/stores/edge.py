"""Qdrant Edge, the embedded default: one folder per fingerprint, owned by one service, opened by a process of its own.

Why a process: see `worksite.rag.stores.shard`. It answers one call after the other, so that what is written is seen
by whatever is asked after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO
from uuid import UUID

from worksite.rag.domain.documents import DIMENSIONS, Passage, Point, SparseVector, Vector
from worksite.rag.domain.queries import Scope, Scores
from worksite.rag.store import Counts, Revisions, StoreError
from worksite.rag.stores.batcher import Batcher
from worksite.rag.stores.shard_process import Search, ShardError, ShardProcess

logger = logging.getLogger(__name__)

_ENDING_SECONDS = 10.0
"""How long the process of a shard may outlive a service that was killed: it finishes what it is at."""


class EdgeStore:
    """The index in one shard folder. Open it with `open_edge_store`."""

    def __init__(self, process: ShardProcess, lock: TextIO) -> None:
        self._process = process
        self._lock = lock
        self._generation = 0
        self._asking = ThreadPoolExecutor(1, thread_name_prefix="rag-store")
        self._scans = Batcher[Search, Scores](partial(self._ask, "best"))

    @property
    def generation(self) -> int:
        return self._generation

    async def dense(self, scope: Scope, vector: Vector, limit: int, among: Collection[UUID] | None = None) -> Scores:
        return await self._scans.ask(("dense", scope), Search(vector, scope, limit, _listed(among)))

    async def sparse(
        self, scope: Scope, vector: SparseVector, limit: int, among: Collection[UUID] | None = None
    ) -> Scores:
        return await self._scans.ask(("sparse", scope), Search(vector, scope, limit, _listed(among)))

    async def passages(self, scope: Scope, ids: Collection[UUID]) -> dict[UUID, Passage]:
        return await self._ask("passages", scope, list(ids)) if ids else {}

    async def revisions(self, tenant: str, path: str | None = None) -> Revisions:
        revisions: Revisions = {}
        offset = None
        while True:
            page, offset = await self._ask("revisions", tenant, path, offset)
            for at, one, revision in page:
                revisions.setdefault(at, {})[one] = revision
            if offset is None:
                return revisions

    async def counts(self, by: Literal["path", "source"] = "path") -> Counts:
        tenants: dict[str, int] = await self._ask("facet", "tenant", None)
        return {tenant: await self._ask("facet", by, tenant) for tenant in tenants}

    async def size(self) -> int:
        return await self._ask("size")

    async def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        await self._write("upsert", tenant, list(points))

    async def replace_passages(self, tenant: str, passages: Mapping[UUID, Passage]) -> None:
        await self._write("replace_passages", tenant, dict(passages))

    async def delete(self, tenant: str, ids: Collection[UUID]) -> None:
        await self._write("delete", tenant, list(ids))

    async def close(self) -> None:
        await self._write("close")
        await asyncio.to_thread(self._process.end)
        self._asking.shutdown()
        self._lock.close()

    async def _ask(self, name: str, *arguments: Any) -> Any:
        call = partial(self._process.ask, name, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._asking, call)

    async def _write(self, name: str, *arguments: Any) -> None:
        call = partial(self._written, name, *arguments)
        await asyncio.get_running_loop().run_in_executor(self._asking, call)

    def _written(self, name: str, *arguments: Any) -> None:
        """In the asking thread, so that a caller who was cancelled and does not wait still has the write counted."""
        try:
            self._process.ask(name, *arguments)
        finally:
            self._generation += 1


def open_edge_store(
    collection: Path, fingerprint: str, dimensions: int = DIMENSIONS, lock: TextIO | None = None
) -> EdgeStore:
    """Open the shard of this fingerprint, of vectors this long, below a collection's folder, creating what is missing.

    A shard that cannot be read is dropped and made anew: the index is derived from files, which the caller
    indexes again. Raises StoreError while another process owns the folder; `lock` says that this one does, and is
    closed with the store.
    """
    lock = lock or own_folder(collection)
    folder = collection / fingerprint
    store = _store(folder, lock, dimensions)
    if reason := store._process.made_anew_because:
        logger.warning("index %s cannot be read and is made anew: %s", folder, reason)
    return store


def read_edge_store(folder: Path, lock: TextIO) -> EdgeStore:
    """Open a shard that is there, in a folder that `lock`, which is closed with the store, says to be ours.

    One that cannot be read is left as it is. Raises StoreError.
    """
    return _store(folder, lock, None)


def _store(folder: Path, lock: TextIO, dimensions: int | None) -> EdgeStore:
    try:
        return EdgeStore(ShardProcess(folder, lock, dimensions), lock)
    except ShardError as error:
        lock.close()
        raise StoreError(f"the index in {folder} cannot be read: {error}") from error


def _listed(ids: Collection[UUID] | None) -> list[UUID] | None:
    """Views of dictionaries cannot be sent."""
    return None if ids is None else list(ids)


def own_folder(collection: Path) -> TextIO:
    """Lock the folder, created if need be, for this process and those of its shards; the kernel releases the lock when
    the last of them dies.

    Raises StoreError.
    """
    collection.mkdir(parents=True, exist_ok=True)
    lock = (collection / "owner.pid").open("a+")
    deadline = time.monotonic() + _ENDING_SECONDS
    while not _locked(lock):
        owner = _owner(lock)
        if _lives(owner) or time.monotonic() > deadline:
            lock.close()
            raise StoreError(f"{collection} is in use by another process (pid {owner or 'unknown'})")
        time.sleep(0.02)
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _locked(lock: TextIO) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _owner(lock: TextIO) -> str:
    lock.seek(0)
    return lock.read().strip()


def _lives(pid: str) -> bool:
    """Is the owner there? One that was killed may be survived by the process of its shard, for a moment."""
    try:
        os.kill(int(pid), 0)
    except PermissionError:  # somebody else's
        return True
    except (ProcessLookupError, ValueError):
        return False
    return True
