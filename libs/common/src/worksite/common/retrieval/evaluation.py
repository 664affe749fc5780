"""How well and how fast searches answer the queries of a test collection."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from worksite.common.messages import SearchMode
from worksite.common.retrieval.collections import Collection
from worksite.common.retrieval.measures import ndcg, percentile, recall, reciprocal_rank


@dataclass(frozen=True, slots=True)
class Way:
    """A way to search; `hybrid` with `rerank` is shown as `hybrid+rerank`."""

    mode: SearchMode
    rerank: bool = False

    def __str__(self) -> str:
        return f"{self.mode}+rerank" if self.rerank else self.mode


WAYS = (Way("dense"), Way("sparse"), Way("hybrid"), Way("hybrid", rerank=True))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents that answer a query, best first, each once, and how long that took."""

    documents: Sequence[str]
    milliseconds: float


Ask = Callable[[str, Way], Awaitable[Ranking]]


@dataclass(frozen=True, slots=True)
class Row:
    """Means over the queries of one collection, and milliseconds; recall is that of the first `depth`."""

    collection: str
    way: str
    ndcg_at_10: float
    recall: float
    mrr_at_10: float
    p50_ms: float
    p95_ms: float
    depth: int


async def evaluate(collection: Collection, ask: Ask, depth: int, ways: Sequence[Way] = WAYS) -> list[Row]:
    """Ask every query in every way, one after the other."""
    return [await _row(collection, ask, depth, way) for way in ways]


async def _row(collection: Collection, ask: Ask, depth: int, way: Way) -> Row:
    found = {query: await ask(text, way) for query, text in collection.queries.items()}
    judged = [(ranking.documents, collection.grades[query]) for query, ranking in found.items()]
    milliseconds = [ranking.milliseconds for ranking in found.values()]
    return Row(
        collection=collection.name,
        way=str(way),
        ndcg_at_10=fmean(ndcg(documents, grades, 10) for documents, grades in judged),
        recall=fmean(recall(documents, grades, depth) for documents, grades in judged),
        mrr_at_10=fmean(reciprocal_rank(documents[:10], grades) for documents, grades in judged),
        p50_ms=percentile(milliseconds, 0.5),
        p95_ms=percentile(milliseconds, 0.95),
        depth=depth,
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown, a row for each way and collection."""
    titles = ("collection", "search", "nDCG@10", f"Recall@{rows[0].depth}", "MRR@10", "p50 ms", "p95 ms")
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        quality = f"{row.ndcg_at_10:.3f} | {row.recall:.3f} | {row.mrr_at_10:.3f}"
        lines.append(f"| {row.collection} | {row.way} | {quality} | {row.p50_ms:.0f} | {row.p95_ms:.0f} |")
    return "\n".join(lines)
