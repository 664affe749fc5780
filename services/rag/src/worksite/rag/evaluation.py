"""How well and how fast searches answer the queries of a test collection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from time import perf_counter

from worksite.rag.collections import Collection
from worksite.rag.domain.documents import Document
from worksite.rag.domain.measures import ndcg, percentile, recall, reciprocal_rank
from worksite.rag.domain.queries import Mode, Scope, SearchQuery
from worksite.rag.index import Indexer
from worksite.rag.search import SearchEngine

DEPTH = 100


@dataclass(frozen=True, slots=True)
class Way:
    """A way to search; `hybrid` with `rerank` is shown as `hybrid+rerank`."""

    mode: Mode
    rerank: bool = False

    def __str__(self) -> str:
        return f"{self.mode}+rerank" if self.rerank else self.mode


WAYS = (Way("dense"), Way("sparse"), Way("hybrid"), Way("hybrid", rerank=True))

Ask = Callable[[str, Way], Awaitable[Sequence[str]]]
"""Answers a query with documents, best first, each once."""


@dataclass(frozen=True, slots=True)
class Row:
    """Means over the queries of one collection, and milliseconds."""

    collection: str
    way: str
    ndcg_at_10: float
    recall_at_100: float
    mrr: float
    p50_ms: float
    p95_ms: float


async def evaluate(collection: Collection, ask: Ask, ways: Sequence[Way] = WAYS) -> list[Row]:
    """Ask every query in every way, one after the other."""
    return [await _row(collection, ask, way) for way in ways]


async def _row(collection: Collection, ask: Ask, way: Way) -> Row:
    rankings: dict[str, Sequence[str]] = {}
    milliseconds: list[float] = []
    for query, text in collection.queries.items():
        started = perf_counter()
        rankings[query] = await ask(text, way)
        milliseconds.append((perf_counter() - started) * 1000)
    judged = [(rankings[query], collection.grades[query]) for query in collection.queries]
    return Row(
        collection.name,
        str(way),
        fmean(ndcg(ranking, grades) for ranking, grades in judged),
        fmean(recall(ranking, grades, DEPTH) for ranking, grades in judged),
        fmean(reciprocal_rank(ranking, grades) for ranking, grades in judged),
        percentile(milliseconds, 0.5),
        percentile(milliseconds, 0.95),
    )


async def index_collection(indexer: Indexer, tenant: str, collection: Collection) -> None:
    """Make what a tenant has indexed equal to a collection; a document's path is its id."""
    await indexer.sync(tenant, (Document(one, text, "text") for one, text in collection.documents.items()))


def ask_engine(engine: SearchEngine, tenant: str) -> Ask:
    """Ask an engine in this process as a tenant that has a collection indexed; a document ranks as its best chunk."""

    async def ask(text: str, way: Way) -> Sequence[str]:
        query = SearchQuery(text, Scope(tenant), way.mode, DEPTH, way.rerank)
        return list(dict.fromkeys(hit.passage.path for hit in (await engine.search(query)).hits))

    return ask


def table(rows: Sequence[Row]) -> str:
    """Markdown, a row for each way and collection."""
    lines = ["| collection | search | nDCG@10 | Recall@100 | MRR | p50 ms | p95 ms |", "|---|---|---|---|---|---|---|"]
    for row in rows:
        quality = f"{row.ndcg_at_10:.3f} | {row.recall_at_100:.3f} | {row.mrr:.3f}"
        lines.append(f"| {row.collection} | {row.way} | {quality} | {row.p50_ms:.0f} | {row.p95_ms:.0f} |")
    return "\n".join(lines)
