"""Measures of rankings, against values worked out by hand."""

from __future__ import annotations

import math

import pytest
from worksite.common.retrieval.measures import ndcg, percentile, recall, reciprocal_rank

GRADES = {"a": 2, "b": 1, "c": 0, "d": -1}


def test_ndcg_discounts_gains_by_rank_and_divides_by_the_best_possible() -> None:
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert ndcg(["b", "x", "a"], GRADES) == pytest.approx((1 / math.log2(2) + 2 / math.log2(4)) / ideal)
    assert ndcg(["a", "b", "c"], GRADES) == pytest.approx(1)


def test_ndcg_sees_the_first_k_only_and_no_negative_gain() -> None:
    assert ndcg(["x", "a"], GRADES, k=1) == 0
    assert ndcg(["d", "a"], {"a": 1, "d": -1}) == ndcg(["x", "a"], {"a": 1})


def test_recall_is_the_share_of_the_relevant_among_the_first_k() -> None:
    assert recall(["b", "c", "a"], GRADES, k=2) == 0.5
    assert recall(["b", "a"], GRADES, k=2) == 1


def test_reciprocal_rank_is_that_of_the_first_relevant_document() -> None:
    assert reciprocal_rank(["c", "d", "b", "a"], GRADES) == pytest.approx(1 / 3)
    assert reciprocal_rank(["c"], GRADES) == 0


def test_query_without_a_relevant_document_counts_as_zero() -> None:
    assert (ndcg(["a"], {"a": 0}), recall(["a"], {"a": 0}), reciprocal_rank(["a"], {})) == (0, 0, 0)


def test_percentiles_are_values_that_occurred() -> None:
    values = [5.0, 1.0, 3.0, 2.0, 4.0]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([7.0], 0.5)) == (3, 5, 7)
