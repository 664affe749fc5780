"""Qdrant Edge, the embedded default: one folder per fingerprint, owned by one process, written by one thread.

HNSW stays off: building it holds the GIL for seconds and would freeze the service. All vectors are scanned instead,
in 4 bits a dimension, and the best are scored anew by the vectors themselves. Updates go through a write-ahead log,
which survives the death of the process.

What is converted between Python and the engine is converted in the store's own threads, page by page, so that the
event loop never waits for long.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal, TextIO, TypeVar
from uuid import UUID

import qdrant_edge as edge
from worksite.rag.domain.documents import DIMENSIONS, Passage, Point, SparseVector, Vector
from worksite.rag.domain.identity import Revision
from worksite.rag.domain.queries import Scope
from worksite.rag.store import MOST_PATHS, Counts, Revisions, Scores, StoreError
from worksite.rag.stores.payloads import KEYWORDS, REVISION, TIMES, passage_from, payload_of, revision_from

logger = logging.getLogger(__name__)

_NEVER_BUILD_HNSW_KB = 10**9
_OVERSAMPLING = 2.0
"""How many times as many as asked for are scored anew."""
_APPROXIMATE = edge.SearchParams(quantization=edge.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING))
_EXACT = edge.SearchParams(exact=True)
_PAGE = 1000
_READERS = 4
_T = TypeVar("_T")


class EdgeStore:
    """The index in one shard folder. Open it with `open_edge_store`."""

    def __init__(self, folder: Path, shard: edge.EdgeShard, lock: TextIO) -> None:
        self._folder = folder
        self._shard = shard
        self._lock = lock
        self._generation = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="rag-store-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="rag-store-reader")

    @property
    def generation(self) -> int:
        return self._generation

    async def dense(self, scope: Scope, vector: Vector, limit: int, among: Collection[UUID] | None = None) -> Scores:
        query = edge.Query.Nearest(list(vector), using="dense")
        return await self._scores(query, _visible(scope, among), limit, _APPROXIMATE if among is None else _EXACT)

    async def sparse(
        self, scope: Scope, vector: SparseVector, limit: int, among: Collection[UUID] | None = None
    ) -> Scores:
        query = edge.Query.Nearest(_sparse(vector), using="bm25")
        per_tenant = edge.IdfParams(corpus=edge.Filter(should=_owned_by(*scope.tenants)))
        return await self._scores(query, _visible(scope, among), limit, edge.SearchParams(idf=per_tenant))

    async def passages(self, scope: Scope, ids: Collection[UUID]) -> dict[UUID, Passage]:
        if not ids:
            return {}
        page = edge.ScrollRequest(limit=len(ids), filter=_visible(scope, ids), with_payload=True)
        found, _ = await self._read(self._scroll, page, passage_from)
        return dict(found)

    async def revisions(self, tenant: str, path: str | None = None) -> Revisions:
        revisions: Revisions = {}
        offset = None
        while True:
            page = edge.ScrollRequest(offset=offset, limit=_PAGE, filter=_own(tenant, path=path), with_payload=REVISION)
            found, offset = await self._read(self._scroll, page, _path_and_revision)
            for one, (at, revision) in found:
                revisions.setdefault(at, {})[one] = revision
            if offset is None:
                return revisions

    async def counts(self, by: Literal["path", "source"] = "path") -> Counts:
        return {tenant: await self._facet(by, _own(tenant)) for tenant in await self._facet("tenant")}

    async def _facet(self, key: str, within: edge.Filter | None = None) -> dict[str, int]:
        return await self._read(self._counted, edge.FacetRequest(key, limit=MOST_PATHS, exact=True, filter=within))

    async def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        await self._write(self._upsert, tenant, points)

    async def replace_passages(self, tenant: str, passages: Mapping[UUID, Passage]) -> None:
        for chunk_id, passage in passages.items():
            operation = edge.UpdateOperation.overwrite_payload_by_filter(
                _own(tenant, [chunk_id]), payload_of(tenant, passage)
            )
            await self._write(self._shard.update, operation)

    async def delete(self, tenant: str, ids: Collection[UUID]) -> None:
        await self._write(self._shard.update, edge.UpdateOperation.delete_points_by_filter(_own(tenant, ids)))

    async def close(self) -> None:
        await self._write(self._shard.flush)
        self._readers.shutdown()
        await self._write(self._shard.close)
        self._writer.shutdown()
        self._lock.close()

    async def _scores(self, query: edge.Query, within: edge.Filter, limit: int, params: edge.SearchParams) -> Scores:
        request = edge.QueryRequest(limit=limit, query=query, filter=within, params=params)
        return {_uuid(point.id): point.score for point in await self._read(self._shard.query, request)}

    def _scroll(
        self, page: edge.ScrollRequest, taken: Callable[[Mapping[str, Any]], _T]
    ) -> tuple[list[tuple[UUID, _T]], edge.PointId | None]:
        records, offset = self._shard.scroll(page)
        return [(_uuid(record.id), taken(record.payload or {})) for record in records], offset

    def _counted(self, request: edge.FacetRequest) -> dict[str, int]:
        return {str(hit.value): hit.count for hit in self._shard.facet(request).hits if hit.count}

    def _upsert(self, tenant: str, points: Sequence[Point]) -> None:
        self._shard.update(edge.UpdateOperation.upsert_points([_point(tenant, point) for point in points]))

    async def _read(self, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, partial(call, *arguments))

    async def _write(self, call: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, partial(self._written, call, *arguments))

    def _written(self, call: Callable[..., _T], *arguments: Any) -> _T:
        """In the writing thread, so that a caller who was cancelled and does not wait still has the write counted."""
        try:
            return call(*arguments)
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
    return _store(folder, _load(folder) or _create(folder, dimensions), lock)


def read_edge_store(folder: Path, lock: TextIO) -> EdgeStore:
    """Open a shard that is there, in a folder that `lock`, which is closed with the store, says to be ours.

    One that cannot be read is left as it is. Raises StoreError.
    """
    try:
        return _store(folder, edge.EdgeShard.load(str(folder)), lock)
    except Exception as error:  # the binding raises nothing narrower
        lock.close()
        raise StoreError(f"the index in {folder} cannot be read: {error}") from error


def _store(folder: Path, shard: edge.EdgeShard, lock: TextIO) -> EdgeStore:
    for field in KEYWORDS:
        keyword = edge.KeywordIndexParams(is_tenant=field == "tenant", prefix=field == "path")
        shard.update(edge.UpdateOperation.create_field_index(field, keyword))
    for field in TIMES:
        shard.update(edge.UpdateOperation.create_field_index(field, edge.DatetimeIndexParams()))
    return EdgeStore(folder, shard, lock)


def own_folder(collection: Path) -> TextIO:
    """Lock the folder, created if need be, for this process; the kernel releases the lock when the process dies.

    Raises StoreError.
    """
    collection.mkdir(parents=True, exist_ok=True)
    lock = (collection / "owner.pid").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        owner = lock.read().strip() or "unknown"
        lock.close()
        raise StoreError(f"{collection} is in use by another process (pid {owner})") from None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def _load(folder: Path) -> edge.EdgeShard | None:
    if not folder.exists():
        return None
    try:
        return edge.EdgeShard.load(str(folder))
    except Exception as error:  # the binding raises nothing narrower
        logger.warning("index %s cannot be read and is made anew: %s", folder, error)
        manifest_file(folder).unlink(missing_ok=True)
        shutil.rmtree(folder)
        return None


def manifest_file(folder: Path) -> Path:
    """Where the manifest of a shard is: beside it."""
    return folder.with_suffix(".json")


def _create(folder: Path, dimensions: int) -> edge.EdgeShard:
    folder.mkdir()
    in_4_bits = edge.TurboQuantQuantizationConfig(bits=edge.TurboQuantBitSize.Bits4)
    dense = edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine, quantization_config=in_4_bits)
    config = edge.EdgeConfig(
        vectors={"dense": dense},
        sparse_vectors={"bm25": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_NEVER_BUILD_HNSW_KB),
    )
    return edge.EdgeShard.create(str(folder), config)


def _visible(scope: Scope, among: Collection[UUID] | None) -> edge.Filter:
    filters = scope.filters
    conditions: list[edge.ConditionType] = []
    if filters.path_prefix:
        conditions.append(edge.FieldCondition("path", match=edge.MatchPrefix(filters.path_prefix)))
    if filters.kind:
        conditions.append(edge.FieldCondition("kind", match=edge.MatchValue(filters.kind)))
    conditions += [edge.FieldCondition("tags", match=edge.MatchValue(tag)) for tag in filters.tags]
    if filters.language:
        conditions.append(edge.FieldCondition("language", match=edge.MatchValue(filters.language)))
    if filters.since or filters.before:
        times = edge.RangeDateTime(gte=_time(filters.since), lt=_time(filters.before))
        conditions.append(edge.FieldCondition("updated_at", range=times))
    if among is not None:
        conditions.append(edge.HasIdCondition(set(among)))
    return edge.Filter(should=_owned_by(*scope.tenants), must=conditions)


def _own(tenant: str, among: Collection[UUID] | None = None, path: str | None = None) -> edge.Filter:
    conditions = _owned_by(tenant)
    if path is not None:
        conditions.append(edge.FieldCondition("path", match=edge.MatchValue(path)))
    if among is not None:
        conditions.append(edge.HasIdCondition(set(among)))
    return edge.Filter(must=conditions)


def _owned_by(*tenants: str) -> list[edge.ConditionType]:
    """A condition for each, of which one must hold: over a large index half as costly as one that names them all."""
    return [edge.FieldCondition("tenant", match=edge.MatchValue(tenant)) for tenant in tenants]


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _point(tenant: str, point: Point) -> edge.Point:
    vectors: dict[str, edge.NamedVector] = {"dense": list(point.dense)}
    if point.sparse.indices:
        vectors["bm25"] = _sparse(point.sparse)
    return edge.Point(point.id, vectors, payload_of(tenant, point.passage))


def _sparse(vector: SparseVector) -> edge.SparseVector:
    return edge.SparseVector(list(vector.indices), list(vector.values))


def _path_and_revision(payload: Mapping[str, Any]) -> tuple[str, Revision]:
    return payload["path"], revision_from(payload)


def _uuid(point_id: edge.PointId) -> UUID:
    return point_id if isinstance(point_id, UUID) else UUID(str(point_id))
