"""Request and reply of the RAG engine's `search` endpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from worksite.common.messages.base import Message, Model, Tenant

SearchMode = Literal["dense", "sparse", "hybrid"]


class SearchFilters(Model):
    path_prefix: str | None = None
    kind: Literal["document", "blueprint"] | None = None
    tags: tuple[str, ...] = Field(default=(), max_length=20, description="all of them")


class SearchRequest(Message):
    type: Literal["search_request"] = "search_request"
    tenant: Tenant
    query: str = Field(min_length=1, max_length=2000)
    top_k: int = Field(default=10, ge=1, le=50)
    mode: SearchMode = "hybrid"
    rerank: bool = True
    filters: SearchFilters = SearchFilters()


class Scores(Model):
    """Each stage's own score; null where the stage did not see the chunk."""

    dense: float | None = None
    sparse: float | None = None
    rerank: float | None = None


class SearchResult(Model):
    path: str
    start_line: int
    end_line: int
    text: str
    score: float
    scores: Scores
    kind: Literal["document", "blueprint"]
    name: str | None = Field(default=None, description="the blueprint's name")
    heading: str | None = None


class SearchResponse(Message):
    type: Literal["search_response"] = "search_response"
    results: tuple[SearchResult, ...]
    reranked: bool
    timings_ms: dict[str, float]


class RequestFailed(Message):
    """A request/reply endpoint's refusal."""

    type: Literal["request_failed"] = "request_failed"
    code: str
    detail: str
    retryable: bool
