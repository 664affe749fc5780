"""Fusion of dense and sparse scores into one ranking, and of that ranking with a reranker's scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

Ranking = list[tuple[UUID, float]]
"""Best first."""

ALPHA = 0.65
"""Weight of the cosine against the normalised BM25 score.

Chosen by mean nDCG@10 over three public collections (Cranfield, NPL, CACM; whole abstracts, 100 candidates
from each side): 0.484 at 0.5, 0.490 at 0.6, 0.492 at 0.65, 0.489 at 0.7, 0.488 at 0.8; dense alone 0.419,
BM25 alone 0.421, reciprocal rank fusion (k = 60) 0.484. The top is flat: anything from 0.6 to 0.8 is within
0.005.
"""

RERANK_WEIGHT = 0.35
"""Weight of the reranker against the first stage.

Chosen like ALPHA, with the shipped reranker and its default budget: mean nDCG@10 0.494 at 0 (no reranking), 0.497 at
0.2, 0.500 at 0.35 and 0.4, 0.497 at 0.5, 0.481 at 0.85 and 0.477 at 1. At 0.35 no collection loses. A weight
chosen on one half of the queries gains 0.008 and 0.003 on the other.
"""


def convex(dense: Mapping[UUID, float], sparse: Mapping[UUID, float], alpha: float = ALPHA) -> Ranking:
    """Rank candidates by `alpha * cosine + (1 - alpha) * bm25 / (highest bm25)`, best first, ties by id.

    Give every candidate's score on both sides: one without a BM25 score shares no term with the query and
    counts as 0 there. BM25 is bounded by its own maximum because its scale changes with the query. Source:
    Bruch, Gai and Ingber, "An Analysis of Fusion Functions for Hybrid Retrieval", 2022, who find it ahead of
    rank fusion.
    """
    highest = max(sparse.values(), default=0.0) or 1.0
    candidates = dense.keys() | sparse.keys()
    return ranked(
        {one: alpha * dense.get(one, 0.0) + (1 - alpha) * (sparse.get(one, 0.0) / highest) for one in candidates}
    )


def reciprocal(
    dense: Mapping[UUID, float], sparse: Mapping[UUID, float], k: int, weights: tuple[float, float]
) -> Ranking:
    """Reciprocal rank fusion: each side gives `weight / (k + rank)`, ranks counting from 1.

    Source: Cormack, Clarke and Buettcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank
    Learning Methods", 2009.
    """
    sums = dict.fromkeys(dense.keys() | sparse.keys(), 0.0)
    for scores, weight in zip((dense, sparse), weights, strict=True):
        for rank, (one, _) in enumerate(ranked(scores), 1):
            sums[one] += weight / (k + rank)
    return ranked(sums)


def reranked(ranking: Sequence[tuple[UUID, float]], scores: Sequence[float], weight: float = RERANK_WEIGHT) -> Ranking:
    """Order the first entries, those that a reranker scored, by `weight * reranker + (1 - weight) * first stage`.

    Both are brought to the range 0 to 1 within these entries, for a reranker's scores have no scale of their own; the
    sum is given back in the range of the first stage. So scores still fall from the first entry to the last one, and
    entries that were not scored follow in their order.
    """
    head, tail = ranking[: len(scores)], list(ranking[len(scores) :])
    first = _unit(score for _, score in head)
    mixed = {
        one: weight * second + (1 - weight) * unit
        for (one, _), unit, second in zip(head, first, _unit(scores), strict=True)
    }
    low = min((score for _, score in head), default=0.0)
    span = max((score for _, score in head), default=0.0) - low
    return [(one, low + share * span) for one, share in ranked(mixed)] + tail


def ranked(scores: Mapping[UUID, float]) -> Ranking:
    """Best first; ties by id, so that equal searches give equal answers."""
    return sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))


def _unit(scores: Iterable[float]) -> list[float]:
    values = list(scores)
    low = min(values, default=0.0)
    span = max(values, default=0.0) - low
    return [(value - low) / span if span else 0.0 for value in values]
