"""The maths of fusion."""

from __future__ import annotations

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.rag.domain.fusion import convex, ranked, reciprocal, reranked

A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)
SCORES = st.dictionaries(st.sampled_from([A, B, C]), st.floats(0.001, 50), max_size=3)


def test_convex_adds_the_weighted_cosine_and_the_bm25_share_of_the_maximum() -> None:
    fused = convex({A: 0.8, B: 0.4}, {A: 2.0, B: 8.0}, alpha=0.75)
    assert fused == [(A, pytest.approx(0.75 * 0.8 + 0.25 * 0.25)), (B, pytest.approx(0.75 * 0.4 + 0.25))]


def test_candidate_without_a_bm25_score_counts_as_zero_there() -> None:
    assert dict(convex({A: 0.5, B: 0.5}, {B: 4.0}, alpha=0.5)) == {A: 0.25, B: 0.75}


def test_without_any_bm25_score_the_order_is_that_of_the_cosine() -> None:
    assert [one for one, _ in convex({A: 0.1, B: 0.9, C: 0.5}, {})] == [B, C, A]


def test_ties_are_broken_by_id() -> None:
    assert [one for one, _ in ranked({C: 1.0, A: 1.0, B: 1.0})] == [A, B, C]


@given(SCORES, SCORES, st.floats(0.01, 100))
def test_ranking_does_not_depend_on_the_scale_of_bm25(
    dense: dict[UUID, float], sparse: dict[UUID, float], scale: float
) -> None:
    plain = dict(convex(dense, sparse))
    scaled = dict(convex(dense, {one: score * scale for one, score in sparse.items()}))
    assert scaled == pytest.approx(plain)


def test_reciprocal_ranks_are_weighted_and_summed() -> None:
    fused = dict(reciprocal({A: 0.9, B: 0.8}, {B: 3.0, C: 1.0}, k=10, weights=(1.0, 2.0)))
    assert fused == {
        A: pytest.approx(1 / 11),
        B: pytest.approx(1 / 12 + 2 / 11),
        C: pytest.approx(2 / 12),
    }


def test_reranked_order_is_a_weighted_mean_of_both_after_min_max() -> None:
    order = reranked([(A, 0.9), (B, 0.8), (C, 0.5)], [-4.0, 6.0, 1.0], weight=0.5)
    assert order == [
        (B, pytest.approx(0.5 + 0.4 * (0.5 * 1.0 + 0.5 * 0.75))),
        (A, pytest.approx(0.5 + 0.4 * 0.5)),
        (C, pytest.approx(0.5 + 0.4 * (0.5 * 0.5))),
    ]


def test_entries_that_were_not_scored_follow_in_their_order() -> None:
    order = reranked([(A, 0.9), (B, 0.8), (C, 0.5)], [0.0, 1.0], weight=1.0)
    assert [one for one, _ in order] == [B, A, C]


def test_equal_first_stage_scores_leave_the_order_to_the_reranker() -> None:
    assert [one for one, _ in reranked([(A, 0.5), (B, 0.5)], [1.0, 2.0], weight=0.3)] == [B, A]


@given(SCORES, st.lists(st.floats(-10, 10), max_size=3), st.floats(0, 1))
def test_reranking_keeps_every_entry_and_scores_still_fall(
    scores: dict[UUID, float], second: list[float], weight: float
) -> None:
    before = ranked(scores)
    after = reranked(before, second[: len(before)], weight)
    assert {one for one, _ in after} == set(scores)
    values = [score for _, score in after]
    assert all(left >= right - 1e-9 for left, right in pairwise(values))
