"""Translates search messages to queries and hits to results, and counts searches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator

from prometheus_client import Counter, Histogram
from worksite.common.messages import Scores, SearchFilters, SearchRequest, SearchResponse
from worksite.common.messages import SearchResult as FoundPassage
from worksite.rag.answering import Answering
from worksite.rag.domain.queries import Filters, RankFusion, Scope, SearchHit, SearchQuery, SearchResult

_SECONDS = Histogram(
    "rag_search_duration_seconds",
    "Time that each stage of a search took; `total` is the whole",
    ["mode", "stage"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 1, 5),
)
_SEARCHES = Counter("rag_searches_total", "Searches answered, answered from the cache, or failed", ["mode", "outcome"])
_DEADLINES = Counter("rag_rerank_deadline_total", "Searches answered without the reranker, which was not done in time")

_REPLY_BYTES = 900_000
"""What the results may take of a message, which has 1 MiB. A hundred chunks of prose or code take a tenth of it."""

SearchEndpoint = Callable[[SearchRequest], Awaitable[SearchResponse]]


def search_endpoint(answering: Answering) -> SearchEndpoint:
    """The handler of the `search` verb."""

    async def search(request: SearchRequest) -> SearchResponse:
        try:
            result = await answering.search(_query(request))
        except BaseException:
            _SEARCHES.labels(request.mode, "failed").inc()
            raise
        _count(request, result)
        return SearchResponse(
            results=tuple(_fitting(map(_found, result.hits))),
            reranked=result.skipped is None,
            timings_ms=result.timings_ms,
            rerank_skipped=result.skipped,
            cached=result.cached,
        )

    return search


def _fitting(results: Iterable[FoundPassage]) -> Iterator[FoundPassage]:
    """The first of the results, as many as a message carries: characters that JSON escapes take six bytes each."""
    left = _REPLY_BYTES
    for result in results:
        left -= len(result.model_dump_json().encode())
        if left < 0:
            return
        yield result


def _count(request: SearchRequest, result: SearchResult) -> None:
    _SEARCHES.labels(request.mode, "cached" if result.cached else "answered").inc()
    for stage, milliseconds in result.timings_ms.items():
        _SECONDS.labels(request.mode, stage).observe(milliseconds / 1000)
    if result.skipped == "deadline":
        _DEADLINES.inc()


def _query(request: SearchRequest) -> SearchQuery:
    rank_fusion = RankFusion(request.rrf.k, (request.rrf.dense, request.rrf.sparse)) if request.rrf else None
    return SearchQuery(
        " ".join(request.query.split()),
        Scope(request.tenant, _filters(request.filters)),
        request.mode,
        request.top_k,
        request.rerank,
        rank_fusion,
    )


def _filters(asked: SearchFilters) -> Filters:
    """The product's blueprints are near every question about software: they answer only who asks for them."""
    kind = asked.kind or (None if asked.blueprints else "document")
    return Filters(asked.path_prefix, kind, asked.tags, asked.language, asked.since, asked.before)


def _found(hit: SearchHit) -> FoundPassage:
    passage = hit.passage
    return FoundPassage(
        path=passage.path,
        start_line=passage.start_line,
        end_line=passage.end_line,
        text=passage.text,
        score=hit.score,
        scores=Scores(dense=hit.dense, sparse=hit.sparse, rerank=hit.rerank),
        kind=passage.kind,
        name=passage.name,
        heading=" > ".join(passage.heading) or None,
        language=passage.language,
        updated_at=passage.updated_at,
    )
