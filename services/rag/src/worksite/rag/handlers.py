"""Translates search messages to queries and hits to results, and counts searches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter

from prometheus_client import Counter, Histogram
from worksite.common.messages import Scores, SearchRequest, SearchResponse, SearchResult
from worksite.rag.domain.queries import Filters, Scope, SearchHit, SearchQuery
from worksite.rag.search import SearchEngine

_SECONDS = Histogram(
    "rag_search_duration_seconds",
    "Time to answer a search",
    ["mode"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 1, 5),
)
_SEARCHES = Counter("rag_searches_total", "Searches answered or failed", ["mode", "outcome"])

SearchEndpoint = Callable[[SearchRequest], Awaitable[SearchResponse]]


def search_endpoint(engine: SearchEngine) -> SearchEndpoint:
    """The handler of the `search` verb. This engine has no reranker: every answer says `reranked: false`."""

    async def search(request: SearchRequest) -> SearchResponse:
        started = perf_counter()
        outcome = "failed"
        try:
            result = await engine.search(_query(request))
            outcome = "answered"
        finally:
            _SEARCHES.labels(request.mode, outcome).inc()
            _SECONDS.labels(request.mode).observe(perf_counter() - started)
        results = tuple(_result(hit) for hit in result.hits)
        return SearchResponse(results=results, reranked=False, timings_ms=result.timings_ms)

    return search


def _query(request: SearchRequest) -> SearchQuery:
    asked = request.filters
    filters = Filters(asked.path_prefix, asked.kind, asked.tags)
    return SearchQuery(request.query, Scope(request.tenant, filters), request.mode, request.top_k)


def _result(hit: SearchHit) -> SearchResult:
    passage = hit.passage
    return SearchResult(
        path=passage.path,
        start_line=passage.start_line,
        end_line=passage.end_line,
        text=passage.text,
        score=hit.score,
        scores=Scores(dense=hit.dense, sparse=hit.sparse),
        kind=passage.kind,
        name=passage.name,
        heading=" > ".join(passage.heading) or None,
    )
