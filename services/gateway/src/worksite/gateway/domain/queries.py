"""What a client sends to search, and what it gets."""

from __future__ import annotations

from pydantic import AwareDatetime, Field, field_validator
from worksite.common.messages import Model, RankFusion, Scores, SearchFilters, SearchMode, SearchRequest, SearchResponse
from worksite.common.messages.search import LANGUAGES, MAX_QUERY_LENGTH

MAX_PATH_LENGTH, MAX_TAG_LENGTH = 400, 50


class SearchQuery(Model):
    """The body of `POST /v1/search`."""

    query: str = Field(
        min_length=1, max_length=MAX_QUERY_LENGTH, description=f"in any words; at most {MAX_QUERY_LENGTH} characters"
    )
    top_k: int = Field(default=10, ge=1, le=100, description="results at most")
    filters: SearchFilters = SearchFilters()
    rerank: bool = True
    mode: SearchMode = "hybrid"
    rrf: RankFusion | None = Field(default=None, description="hybrid mode: by ranks instead of the convex combination")

    @field_validator("query")
    @classmethod
    def _asks_something(cls, query: str) -> str:
        if not any(character.isprintable() and not character.isspace() for character in query):
            raise ValueError("holds nothing to look for: no letter, digit or sign")
        return query

    @field_validator("filters")
    @classmethod
    def _can_match(cls, filters: SearchFilters) -> SearchFilters:
        """Whatever is longer matches no document, and would not fit into a message."""
        if len(filters.path_prefix or "") > MAX_PATH_LENGTH or max(map(len, filters.tags), default=0) > MAX_TAG_LENGTH:
            raise ValueError(f"path_prefix has at most {MAX_PATH_LENGTH} characters, a tag {MAX_TAG_LENGTH}")
        if filters.language is not None and filters.language not in LANGUAGES:
            raise ValueError(f"language is one of {', '.join(LANGUAGES)}")
        if filters.since and filters.before and filters.since >= filters.before:
            raise ValueError("since has to be earlier than before")
        return filters

    def request(self, tenant: str) -> SearchRequest:
        """The message to the RAG engine, bound to the tenant of the token."""
        return SearchRequest(
            tenant=tenant,
            query=self.query,
            top_k=self.top_k,
            mode=self.mode,
            rerank=self.rerank,
            filters=self.filters,
            rrf=self.rrf,
        )


class Hit(Model):
    """A passage with its place in the file."""

    path: str
    start_line: int
    end_line: int
    text: str
    score: float
    scores: Scores
    citation: str = Field(description="`path:start-end`, the lines of the text")
    language: str | None = None
    updated_at: AwareDatetime | None = None


class SearchResults(Model):
    """Best first."""

    results: tuple[Hit, ...]
    reranked: bool
    timings_ms: dict[str, float]
    rerank_skipped: str | None = Field(default=None, description="why the order is the first stage's")
    cached: bool = False


def search_results(response: SearchResponse) -> SearchResults:
    """The part of the RAG engine's answer that the HTTP interface promises."""
    hits = tuple(
        Hit(
            path=found.path,
            start_line=found.start_line,
            end_line=found.end_line,
            text=found.text,
            score=found.score,
            scores=found.scores,
            citation=f"{found.path}:{found.start_line}-{found.end_line}",
            language=found.language,
            updated_at=found.updated_at,
        )
        for found in response.results
    )
    return SearchResults(
        results=hits,
        reranked=response.reranked,
        timings_ms=response.timings_ms,
        rerank_skipped=response.rerank_skipped,
        cached=response.cached,
    )
