"""Request and reply of the RAG engine's `search` endpoint."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, Field
from worksite.common.messages.base import Message, Model, Tenant

SearchMode = Literal["dense", "sparse", "hybrid"]
MAX_QUERY_LENGTH = 2000
LANGUAGES = (
    "bash", "c", "cpp", "csharp", "docx", "go", "html", "java", "javascript", "kotlin", "markdown", "pdf", "php",
    "protobuf", "python", "restructuredtext", "ruby", "rust", "scala", "sql", "swift", "toml", "tsx", "typescript",
    "yaml",
)  # fmt: skip
"""Of sources, by the suffixes of their names; plain text has none."""


class SearchFilters(Model):
    path_prefix: str | None = None
    kind: Literal["document", "blueprint"] | None = None
    tags: tuple[str, ...] = Field(default=(), max_length=20, description="all of them")
    language: str | None = Field(default=None, max_length=50, description=f"of the source: {', '.join(LANGUAGES)}")
    since: AwareDatetime | None = Field(default=None, description="last changed or sent at this time or later")
    before: AwareDatetime | None = Field(default=None, description="last changed or sent before this time")
    blueprints: bool = Field(default=False, description="where no kind is named: the product's blueprints as well")


class RankFusion(Model):
    """Reciprocal rank fusion: a passage gets `weight / (k + rank)` of each side, ranks counting from 1."""

    k: int = Field(default=60, ge=1, le=1000)
    dense: float = Field(default=1, ge=0, le=100, description="weight of the dense side")
    sparse: float = Field(default=1, ge=0, le=100, description="weight of the sparse side")


class SearchRequest(Message):
    type: Literal["search_request"] = "search_request"
    tenant: Tenant
    query: str = Field(min_length=1, max_length=MAX_QUERY_LENGTH)
    top_k: int = Field(default=10, ge=1, le=100)
    mode: SearchMode = "hybrid"
    rerank: bool = True
    filters: SearchFilters = SearchFilters()
    rrf: RankFusion | None = Field(default=None, description="hybrid mode: by ranks instead of the convex combination")


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
    language: str | None = None
    updated_at: AwareDatetime | None = Field(default=None, description="when the source was last changed or sent")


class SearchResponse(Message):
    type: Literal["search_response"] = "search_response"
    results: tuple[SearchResult, ...]
    reranked: bool
    timings_ms: dict[str, float]
    rerank_skipped: str | None = Field(
        default=None,
        description="why it is not reranked: not_asked, no_model, no_results, deadline or failed",
    )
    cached: bool = Field(default=False, description="answered before, and nothing was written since")


class RequestFailed(Message):
    """A request/reply endpoint's refusal."""

    type: Literal["request_failed"] = "request_failed"
    code: str
    detail: str
    retryable: bool
