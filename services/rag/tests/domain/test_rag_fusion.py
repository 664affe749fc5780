"""The maths of fusion."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.rag.domain.fusion import convex, ranked

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
