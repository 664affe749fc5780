"""What a run of the benchmark prints: a line for each way to search, the means, and whether they hold what we claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from worksite.cli.commands_evaluation import DEPTH
from worksite.common.retrieval.evaluation import Row

from benchmarks.table import print_row, print_table

_QUALITY = ("nDCG@10", f"Recall@{DEPTH}", "MRR@10")
_HEAD = ("collection", "search", *_QUALITY, "p50 ms", "p95 ms", "passages", "documents/s", "passages/s", "load")


@dataclass(frozen=True)
class Line:
    """How one engine did on one collection, and what it took until its documents were searchable."""

    row: Row
    documents: int
    passages: int
    ingest_seconds: float
    load: float


def print_head() -> None:
    """Of the table that the lines make."""
    print_table(_HEAD, [])


def print_line(line: Line) -> None:
    """As Markdown."""
    row, seconds = line.row, line.ingest_seconds
    quality = [f"{each:.3f}" for each in (row.ndcg_at_10, row.recall, row.mrr_at_10)]
    times = [f"{each:.0f}" for each in (row.p50_ms, row.p95_ms)]
    rates = [f"{each / seconds:.1f}" for each in (line.documents, line.passages)]
    print_row([row.collection, row.way, *quality, *times, str(line.passages), *rates, f"{line.load:.1f}"])


def print_means(rows: Sequence[Row]) -> None:
    """Over the collections, which each way must have been measured on."""
    print_table(["mean of", "search", *_QUALITY], [_means(way, rows) for way in dict.fromkeys(row.way for row in rows)])


def worth_it(rows: Sequence[Row]) -> bool:
    """Print whether fusion and reranking earn their keep in the mean of the collections."""
    ndcg = {way: fmean(_of(way, rows, "ndcg_at_10")) for way in ("dense", "sparse", "hybrid", "hybrid+rerank")}
    fused = ndcg["hybrid"] > max(ndcg["dense"], ndcg["sparse"])
    reranked = ndcg["hybrid+rerank"] >= ndcg["hybrid"]
    print(f"\nhybrid beats the better of dense and sparse: {fused}; the reranker does not lower the mean: {reranked}")
    return fused and reranked


def _means(way: str, rows: Sequence[Row]) -> list[str]:
    measured = sum(row.way == way for row in rows)
    means = [fmean(_of(way, rows, name)) for name in ("ndcg_at_10", "recall", "mrr_at_10")]
    return [str(measured), way, *(f"{each:.3f}" for each in means)]


def _of(way: str, rows: Sequence[Row], name: str) -> list[float]:
    return [getattr(row, name) for row in rows if row.way == way]
