"""A Qdrant server, for several replicas or many points; one collection per fingerprint.

The vectors and payloads are those of the embedded store. Where no server can be run, the contract suite holds
this adapter to `qdrant-client`'s local mode, the vendor's own reference for a server's semantics.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal
from uuid import UUID

from pydantic import SecretStr
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException
from worksite.rag.domain.documents import DIMENSIONS, Passage, Point, SparseVector, Vector
from worksite.rag.domain.queries import MOST_PATHS, Scope, Scores
from worksite.rag.store import Counts, Revisions, StoreError
from worksite.rag.stores.payloads import KEYWORDS, REVISION, TIMES, passage_from, payload_of, revision_from

_PAGE = 1000


class ServerStore:
    """The index in one collection of a server. Open it with `open_server_store`."""

    def __init__(self, client: AsyncQdrantClient, collection: str, fingerprint: str) -> None:
        self._client = client
        self._collection = f"{collection}-{fingerprint}"

    @property
    def generation(self) -> None:
        """Other replicas write to the same collection."""
        return

    async def dense(self, scope: Scope, vector: Vector, limit: int, among: Collection[UUID] | None = None) -> Scores:
        response = await self._client.query_points(
            self._collection,
            query=list(vector),
            using="dense",
            query_filter=_visible(scope, among),
            limit=limit,
            with_payload=False,
        )
        return _scores(response.points)

    async def sparse(
        self, scope: Scope, vector: SparseVector, limit: int, among: Collection[UUID] | None = None
    ) -> Scores:
        per_tenant = models.IdfCorpusParams(corpus=models.Filter(must=[_owned_by(*scope.tenants)]))
        response = await self._client.query_points(
            self._collection,
            query=_sparse(vector),
            using="bm25",
            query_filter=_visible(scope, among),
            limit=limit,
            with_payload=False,
            search_params=models.SearchParams(idf=per_tenant),
        )
        return _scores(response.points)

    async def passages(self, scope: Scope, ids: Collection[UUID]) -> dict[UUID, Passage]:
        if not ids:
            return {}
        records, _ = await self._client.scroll(
            self._collection, scroll_filter=_visible(scope, ids), limit=len(ids), with_payload=True
        )
        return {UUID(str(record.id)): passage_from(record.payload or {}) for record in records}

    async def revisions(self, tenant: str, path: str | None = None) -> Revisions:
        found: Revisions = {}
        offset = None
        while True:
            records, offset = await self._client.scroll(
                self._collection,
                scroll_filter=_own(tenant, path=path),
                limit=_PAGE,
                offset=offset,
                with_payload=REVISION,
            )
            for record in records:
                payload = record.payload or {}
                found.setdefault(payload["path"], {})[UUID(str(record.id))] = revision_from(payload)
            if offset is None:
                return found

    async def counts(self, by: Literal["path", "source"] = "path") -> Counts:
        return {tenant: await self._facet(by, _own(tenant)) for tenant in await self._facet("tenant")}

    async def _facet(self, key: str, within: models.Filter | None = None) -> dict[str, int]:
        found = await self._client.facet(self._collection, key, facet_filter=within, limit=MOST_PATHS, exact=True)
        return {str(hit.value): hit.count for hit in found.hits if hit.count}

    async def size(self) -> int:
        return (await self._client.count(self._collection, exact=True)).count

    async def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        await self._client.upsert(self._collection, [_point(tenant, point) for point in points], wait=True)

    async def replace_passages(self, tenant: str, passages: Mapping[UUID, Passage]) -> None:
        for chunk_id, passage in passages.items():
            await self._client.overwrite_payload(
                self._collection, payload_of(tenant, passage), points=_own(tenant, [chunk_id]), wait=True
            )

    async def delete(self, tenant: str, ids: Collection[UUID]) -> None:
        chosen = models.FilterSelector(filter=_own(tenant, ids))
        await self._client.delete(self._collection, chosen, wait=True)

    async def close(self) -> None:
        """There is nothing to write; the client belongs to whoever made it."""


def connect(host: str, port: int, api_key: SecretStr | None) -> AsyncQdrantClient:
    """A client of the server's REST port; with a key it uses TLS, so that no key travels in the clear."""
    key = api_key.get_secret_value() if api_key else None
    return AsyncQdrantClient(host=host, port=port, api_key=key, https=key is not None, check_compatibility=False)


async def open_server_store(
    client: AsyncQdrantClient, collection: str, fingerprint: str, dimensions: int = DIMENSIONS
) -> ServerStore:
    """Use the collection of this fingerprint, of vectors this long, creating what is missing. Raises StoreError."""
    store = ServerStore(client, collection, fingerprint)
    try:
        await _ensure(client, f"{collection}-{fingerprint}", dimensions)
    except ApiException as error:
        raise StoreError(f"QDRANT_HOST: the server cannot be used: {error}") from error
    return store


async def _ensure(client: AsyncQdrantClient, name: str, dimensions: int) -> None:
    if not await client.collection_exists(name):
        await client.create_collection(
            name,
            vectors_config={"dense": models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
            sparse_vectors_config={"bm25": models.SparseVectorParams(modifier=models.Modifier.IDF)},
        )
    for field in KEYWORDS:
        keyword = models.KeywordIndexParams(
            type=models.KeywordIndexType.KEYWORD,
            is_tenant=field == "tenant" or None,
            prefix=field == "path" or None,
        )
        await client.create_payload_index(name, field, keyword, wait=True)
    for field in TIMES:
        await client.create_payload_index(name, field, models.PayloadSchemaType.DATETIME, wait=True)


def _visible(scope: Scope, among: Collection[UUID] | None) -> models.Filter:
    filters = scope.filters
    conditions: list[models.Condition] = [_owned_by(*scope.tenants)]
    if filters.path_prefix:
        prefix = models.MatchPrefix(prefix=filters.path_prefix)
        conditions.append(models.FieldCondition(key="path", match=prefix))
    if filters.kind:
        conditions.append(models.FieldCondition(key="kind", match=models.MatchValue(value=filters.kind)))
    conditions += [models.FieldCondition(key="tags", match=models.MatchValue(value=tag)) for tag in filters.tags]
    if filters.language:
        conditions.append(models.FieldCondition(key="language", match=models.MatchValue(value=filters.language)))
    if filters.since or filters.before:
        times = models.DatetimeRange(gte=filters.since, lt=filters.before)
        conditions.append(models.FieldCondition(key="updated_at", range=times))
    if among is not None:
        conditions.append(models.HasIdCondition(has_id=list(among)))
    return models.Filter(must=conditions)


def _own(tenant: str, among: Collection[UUID] | None = None, path: str | None = None) -> models.Filter:
    conditions: list[models.Condition] = [_owned_by(tenant)]
    if path is not None:
        conditions.append(models.FieldCondition(key="path", match=models.MatchValue(value=path)))
    if among is not None:
        conditions.append(models.HasIdCondition(has_id=list(among)))
    return models.Filter(must=conditions)


def _owned_by(*tenants: str) -> models.FieldCondition:
    return models.FieldCondition(key="tenant", match=models.MatchAny(any=list(tenants)))


def _point(tenant: str, point: Point) -> models.PointStruct:
    vectors: dict[str, models.Vector] = {"dense": list(point.dense)}
    if point.sparse.indices:
        vectors["bm25"] = _sparse(point.sparse)
    return models.PointStruct(id=str(point.id), vector=vectors, payload=payload_of(tenant, point.passage))


def _sparse(vector: SparseVector) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def _scores(points: Sequence[models.ScoredPoint]) -> Scores:
    return {UUID(str(point.id)): point.score for point in points}
