"""One shard of Qdrant Edge, and the process it has to itself: `python -m worksite.rag.stores.shard`.

No call of the engine lets another thread of its process run (it holds the GIL), and opening a large shard takes
seconds, so the service asks a process of its own, which answers one question after the other.

HNSW stays off: all vectors are scanned, in 4 bits a dimension, and the best are scored anew by the vectors
themselves. Updates go through a write-ahead log, which survives the death of the process.
"""

from __future__ import annotations

import pickle
import shutil
import socket
import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import qdrant_edge as edge
from worksite.rag.domain.documents import Passage, Point, SparseVector
from worksite.rag.domain.queries import MOST_PATHS, Scope, Scores
from worksite.rag.stores.manifests import manifest_file
from worksite.rag.stores.payloads import KEYWORDS, REVISION, TIMES, passage_from, payload_of, revision_from
from worksite.rag.stores.shard_process import PAGE, Search, StoredRevision

_NEVER_BUILD_HNSW_KB = 10**9
_OVERSAMPLING = 2.0
"""How many times as many as asked for are scored anew."""
_APPROXIMATE = edge.SearchParams(quantization=edge.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING))
_EXACT = edge.SearchParams(exact=True)


class Shard:
    """What may be asked of it by name; arguments and answers are pickled."""

    def __init__(self, shard: edge.EdgeShard) -> None:
        self._shard = shard
        for field in KEYWORDS:
            keyword = edge.KeywordIndexParams(is_tenant=field == "tenant", prefix=field == "path")
            shard.update(edge.UpdateOperation.create_field_index(field, keyword))
        for field in TIMES:
            shard.update(edge.UpdateOperation.create_field_index(field, edge.DatetimeIndexParams()))

    def best(self, searches: Sequence[Search]) -> list[Scores]:
        """Of each search; those together share a scan, and the counting of document frequencies."""
        batch = edge.QueryBatchRequest([_request(search) for search in searches])
        return [{_uuid(point.id): point.score for point in found} for found in self._shard.query_batch(batch)]

    def passages(self, scope: Scope, ids: Collection[UUID]) -> dict[UUID, Passage]:
        page = edge.ScrollRequest(limit=len(ids), filter=_visible(scope, ids), with_payload=True)
        records, _ = self._shard.scroll(page)
        return {_uuid(record.id): passage_from(record.payload or {}) for record in records}

    def revisions(
        self, tenant: str, path: str | None, offset: edge.PointId | None
    ) -> tuple[list[StoredRevision], edge.PointId | None]:
        """One page, and where the next one begins."""
        page = edge.ScrollRequest(offset=offset, limit=PAGE, filter=_own(tenant, path=path), with_payload=REVISION)
        records, following = self._shard.scroll(page)
        found = [(_uuid(record.id), record.payload or {}) for record in records]
        return [(payload["path"], one, revision_from(payload)) for one, payload in found], following

    def facet(self, key: str, tenant: str | None) -> dict[str, int]:
        within = _own(tenant) if tenant else None
        counted = self._shard.facet(edge.FacetRequest(key, limit=MOST_PATHS, exact=True, filter=within))
        return {str(hit.value): hit.count for hit in counted.hits if hit.count}

    def size(self) -> int:
        return self._shard.info().points_count

    def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        self._shard.update(edge.UpdateOperation.upsert_points([_point(tenant, point) for point in points]))

    def replace_passages(self, tenant: str, passages: Mapping[UUID, Passage]) -> None:
        for chunk_id, passage in passages.items():
            payload = payload_of(tenant, passage)
            self._shard.update(edge.UpdateOperation.overwrite_payload_by_filter(_own(tenant, [chunk_id]), payload))

    def delete(self, tenant: str, ids: Collection[UUID]) -> None:
        self._shard.update(edge.UpdateOperation.delete_points_by_filter(_own(tenant, ids)))

    def close(self) -> None:
        self._shard.flush()
        self._shard.close()


def opened(folder: Path, dimensions: int | None) -> tuple[Shard, str]:
    """The shard in a folder, and why it was made anew if it was: one that cannot be read is dropped, for the index is
    derived from files, which the caller indexes again.

    Without `dimensions` nothing is made or dropped, and what the engine raises is raised.
    """
    if dimensions is None:
        return Shard(edge.EdgeShard.load(str(folder))), ""
    if not folder.exists():
        return Shard(_create(folder, dimensions)), ""
    try:
        return Shard(edge.EdgeShard.load(str(folder))), ""
    except Exception as error:  # the binding raises nothing narrower
        manifest_file(folder).unlink(missing_ok=True)
        shutil.rmtree(folder)
        return Shard(_create(folder, dimensions)), str(error)


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


def _request(search: Search) -> edge.QueryRequest:
    if isinstance(search.vector, SparseVector):
        per_tenant = edge.IdfParams(corpus=edge.Filter(should=_owned_by(*search.scope.tenants)))
        query, params = edge.Query.Nearest(_sparse(search.vector), using="bm25"), edge.SearchParams(idf=per_tenant)
    else:
        query = edge.Query.Nearest(list(search.vector), using="dense")
        params = _APPROXIMATE if search.among is None else _EXACT
    visible = _visible(search.scope, search.among)
    return edge.QueryRequest(limit=search.limit, query=query, filter=visible, params=params)


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


def _uuid(point_id: edge.PointId) -> UUID:
    return point_id if isinstance(point_id, UUID) else UUID(str(point_id))


def serve(channel: socket.socket, folder: Path, dimensions: int | None) -> None:
    """Answer with (True, the answer) or (False, the error in words) until the shard is closed, or whoever asks is gone.

    The first answer is for the opening.
    """
    with channel.makefile("rb") as questions, channel.makefile("wb") as answers:

        def answered(call: Any, *arguments: Any) -> Any:
            try:
                answer = True, call(*arguments)
            except Exception as error:  # the binding raises nothing narrower
                answer = False, f"{type(error).__name__}: {error}"
            answers.write(pickle.dumps(answer))
            answers.flush()

        made: list[Shard] = []

        def open_it() -> str:
            shard, reason = opened(folder, dimensions)
            made.append(shard)
            return reason

        answered(open_it)
        name = ""
        while made and name != "close":
            try:
                name, *arguments = pickle.load(questions)  # noqa: S301 - of our own service
            except EOFError:
                return
            answered(getattr(made[0], name), *arguments)


if __name__ == "__main__":
    fd, path, length = sys.argv[1:]
    with socket.socket(fileno=int(fd)) as ours:
        serve(ours, Path(path), int(length) or None)
