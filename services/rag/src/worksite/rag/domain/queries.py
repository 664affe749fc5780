"""What is asked of the index and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from worksite.common.ids import SHARED_TENANT
from worksite.rag.domain.documents import Kind, Passage

Scores = dict[UUID, float]
MOST_PATHS = 10_000_000
"""Stores ask for a limit of what they count; more than any of them can hold."""
Mode = Literal["dense", "sparse", "hybrid"]
RerankSkipped = Literal["not_asked", "no_model", "no_results", "deadline", "failed"]
"""Why the first stage's order stands."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions that every result meets; an empty one always holds. A result carries all of the tags.

    `since` is inside, `before` is not; what has no known time meets neither.
    """

    path_prefix: str | None = None
    kind: Kind | None = None
    tags: tuple[str, ...] = ()
    language: str | None = None
    since: datetime | None = None
    before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search may see: what its tenant owns and what is shared, as far as the filters allow."""

    tenant: str
    filters: Filters = Filters()

    @property
    def tenants(self) -> tuple[str, str]:
        """The owners whose passages are visible."""
        return self.tenant, SHARED_TENANT


@dataclass(frozen=True, slots=True)
class RankFusion:
    """Reciprocal rank fusion in place of the convex combination; `weights` of the dense and the sparse side."""

    k: int = 60
    weights: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One search on behalf of a tenant. `rank_fusion` matters in hybrid mode only."""

    text: str
    scope: Scope
    mode: Mode = "hybrid"
    top_k: int = 10
    rerank: bool = True
    rank_fusion: RankFusion | None = None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A passage with its final score and each stage's own (cosine, BM25, reranker), None where there is none."""

    passage: Passage
    score: float
    dense: float | None
    sparse: float | None
    rerank: float | None = None


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and the milliseconds that each stage took; `skipped` says why it is not reranked."""

    hits: tuple[SearchHit, ...]
    timings_ms: dict[str, float]
    skipped: RerankSkipped | None
    cached: bool = False
