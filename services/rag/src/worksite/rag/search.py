"""Search: embed the query, ask both sides of the index, score every candidate on both, fuse."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from uuid import UUID

from worksite.rag.domain.documents import SparseVector, Vector
from worksite.rag.domain.fusion import ALPHA, convex, ranked
from worksite.rag.domain.queries import Scope, SearchHit, SearchQuery, SearchResult
from worksite.rag.embedder import Embedder
from worksite.rag.lane import Lane
from worksite.rag.sparse import SparseEncoder
from worksite.rag.store import Scores, VectorStore

CANDIDATES = 100
"""How many each side brings in; more than the largest `top_k`."""


@dataclass(frozen=True, slots=True)
class SearchEngine:
    """Everything a search needs. `alpha` weighs the cosine against BM25 in hybrid mode."""

    embedder: Embedder
    encoder: SparseEncoder
    store: VectorStore
    alpha: float = ALPHA
    lane: Lane = field(default_factory=Lane)

    async def search(self, query: SearchQuery) -> SearchResult:
        """The best passages in the query's scope. Blocking work runs in threads."""
        timings: dict[str, float] = {}
        with self.lane.query(), _timed(timings, "total"):
            with _timed(timings, "embed"):
                vector, terms = await self._encode(query)
            with _timed(timings, "retrieve"):
                dense, sparse = await self._candidates(query.scope, vector, terms)
            with _timed(timings, "fuse"):
                order = convex(dense, sparse, self.alpha) if query.mode == "hybrid" else ranked(dense or sparse)
            with _timed(timings, "fetch"):
                best = order[: query.top_k]
                passages = await self.store.passages(query.scope, [chunk_id for chunk_id, _ in best])
        hits = (
            SearchHit(passages[chunk_id], score, dense.get(chunk_id), sparse.get(chunk_id))
            for chunk_id, score in best
            if chunk_id in passages
        )
        return SearchResult(tuple(hits), timings)

    async def _encode(self, query: SearchQuery) -> tuple[Vector | None, SparseVector | None]:
        vector = await asyncio.to_thread(self.embedder.embed, query.text) if query.mode != "sparse" else None
        return vector, self.encoder.query(query.text) if query.mode != "dense" else None

    async def _candidates(
        self, scope: Scope, vector: Vector | None, terms: SparseVector | None
    ) -> tuple[Scores, Scores]:
        """The best of each side; where both are asked, each also scores what only the other one found."""
        dense, sparse = await asyncio.gather(self._dense(scope, vector), self._sparse(scope, terms))
        if vector is None or terms is None:
            return dense, sparse
        more_dense, more_sparse = await asyncio.gather(
            self._dense(scope, vector, sparse.keys() - dense.keys()),
            self._sparse(scope, terms, dense.keys() - sparse.keys()),
        )
        return dense | more_dense, sparse | more_sparse

    async def _dense(self, scope: Scope, vector: Vector | None, among: set[UUID] | None = None) -> Scores:
        if vector is None or among == set():
            return {}
        return await self.store.dense(scope, vector, CANDIDATES, among)

    async def _sparse(self, scope: Scope, terms: SparseVector | None, among: set[UUID] | None = None) -> Scores:
        if terms is None or not terms.indices or among == set():
            return {}
        return await self.store.sparse(scope, terms, CANDIDATES, among)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Generator[None, None, None]:
    started = perf_counter()
    yield
    timings[stage] = round((perf_counter() - started) * 1000, 3)
