"""Search: embed the query, ask both sides of the index, score every candidate on both, fuse, fetch, rerank."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from time import perf_counter
from uuid import UUID

from worksite.common.ids import SHARED_TENANT
from worksite.rag.caching import LruCache
from worksite.rag.domain.documents import Passage, SparseVector, Vector
from worksite.rag.domain.fusion import ALPHA, Ranking, convex, ranked, reciprocal, reranked
from worksite.rag.domain.queries import RerankSkipped, Scope, Scores, SearchHit, SearchQuery, SearchResult
from worksite.rag.embedder import Embedder
from worksite.rag.lane import Lane
from worksite.rag.reranker import DeadlineExceeded
from worksite.rag.reranking import Reranking
from worksite.rag.store import VectorStore
from worksite.rag.stores.sparse import SparseEncoder

logger = logging.getLogger(__name__)

CANDIDATES = 100
"""How many each side brings in; as many as the largest `top_k`."""
RERANKED = 20
"""How many are offered to the reranker, which takes as many as its budget allows."""
_VECTORS, _RESULTS = 1024, 256
_PASSING: tuple[RerankSkipped, ...] = ("deadline", "failed")
"""What may go better the next time, and is not worth remembering."""

_Offer = tuple[Ranking, dict[UUID, Passage]]


@dataclass(frozen=True, slots=True)
class SearchEngine:
    """Everything a search needs. `alpha` weighs the cosine against BM25 in hybrid mode."""

    embedder: Embedder
    encoder: SparseEncoder
    store: VectorStore
    alpha: float = ALPHA
    lane: Lane = field(default_factory=Lane)
    reranking: Reranking | None = None
    _vectors: LruCache[str, Vector] = field(default_factory=lambda: LruCache[str, Vector](_VECTORS))
    _results: LruCache[tuple[SearchQuery, int], SearchResult] = field(
        default_factory=lambda: LruCache[tuple[SearchQuery, int], SearchResult](_RESULTS)
    )

    async def search(self, query: SearchQuery) -> SearchResult:
        """The best passages in the query's scope. Blocking work runs in threads.

        An answer is remembered under the index's generation, which every write changes: none outlives what it was
        taken from.
        """
        timings: dict[str, float] = {}
        generation = self.store.generation
        with self.lane.query(), _timed(timings, "total"):
            known = None if generation is None else self._results.get((query, generation))
            result = known or await self._search(query, timings)
        if generation is not None and not known and result.skipped not in _PASSING:
            self._results.put((query, generation), result)
        return replace(result, timings_ms=timings, cached=known is not None)

    async def _search(self, query: SearchQuery, timings: dict[str, float]) -> SearchResult:
        started = asyncio.get_running_loop().time()
        with _timed(timings, "embed"):
            vector, terms = await self._encode(query)
        with _timed(timings, "retrieve"):
            dense, sparse = await self._candidates(query.scope, vector, terms)
        with _timed(timings, "fuse"):
            order = self._fused(query, dense, sparse)
        with _timed(timings, "fetch"):
            order, passages = await self._fetched(query, order)
        with _timed(timings, "rerank"):
            second, skipped = await self._scored(query, order, passages, started)
        if self.reranking and not skipped:
            rescored = {one: score for (one, _), score in zip(order, second, strict=False)}
            order = reranked(order, second, self.reranking.weight)
        else:
            rescored = {}
        hits = (
            SearchHit(passages[one], score, dense.get(one), sparse.get(one), rescored.get(one))
            for one, score in order[: query.top_k]
        )
        return SearchResult(tuple(hits), timings, skipped)

    async def _encode(self, query: SearchQuery) -> tuple[Vector | None, SparseVector | None]:
        vector = await self._embedded(query.text) if query.mode != "sparse" else None
        return vector, self.encoder.query(query.text) if query.mode != "dense" else None

    async def _embedded(self, text: str) -> Vector:
        vector = self._vectors.get(text)
        if vector is None:
            vector = await asyncio.to_thread(self.embedder.embed_query, text)
            self._vectors.put(text, vector)
        return vector

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

    def _fused(self, query: SearchQuery, dense: Scores, sparse: Scores) -> Ranking:
        if query.mode != "hybrid":
            return ranked(dense or sparse)
        if by_rank := query.rank_fusion:
            return reciprocal(dense, sparse, by_rank.k, by_rank.weights)
        return convex(dense, sparse, self.alpha)

    async def _fetched(self, query: SearchQuery, order: Ranking) -> _Offer:
        """The passages of the best candidates, less shared ones of which the tenant has a copy of its own."""
        wanted = max(query.top_k, RERANKED if self.reranking and query.rerank else 0)
        best = order[: 2 * wanted]  # a copy hides a candidate, so that half of them may go
        passages = await self.store.passages(query.scope, [one for one, _ in best])
        hidden = await self._hidden(query.scope, passages)
        return [(one, score) for one, score in best if one in passages and one not in hidden], passages

    async def _hidden(self, scope: Scope, passages: Mapping[UUID, Passage]) -> set[UUID]:
        times = Counter(passage.text for passage in passages.values())
        repeated = [one for one, passage in passages.items() if times[passage.text] > 1]
        if not repeated or scope.tenant == SHARED_TENANT:
            return set()
        shared = await self.store.passages(Scope(SHARED_TENANT), repeated)
        owned = {passages[one].text for one in repeated if one not in shared}
        return {one for one in shared if passages[one].text in owned}

    async def _scored(
        self, query: SearchQuery, order: Ranking, passages: Mapping[UUID, Passage], started: float
    ) -> tuple[Sequence[float], RerankSkipped | None]:
        """The reranker's scores of the first candidates, or why there are none."""
        if not query.rerank:
            return (), "not_asked"
        if not self.reranking:
            return (), "no_model"
        if not order:
            return (), "no_results"
        texts = [(" > ".join(passages[one].heading), passages[one].text) for one, _ in order[:RERANKED]]
        try:
            return await self.reranking.scores(query.text, texts, started), None
        except DeadlineExceeded:
            return (), "deadline"
        except Exception:
            logger.exception("the reranker failed; the search is answered without it")
            return (), "failed"


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Generator[None, None, None]:
    started = perf_counter()
    yield
    timings[stage] = round((perf_counter() - started) * 1000, 3)
