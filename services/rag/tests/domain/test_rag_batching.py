"""Batches and budgets of tokens."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worksite.rag.domain.batching import affordable, batches

LENGTHS = st.lists(st.integers(1, 300), max_size=60)


def test_inputs_are_afforded_from_the_first_on_until_the_budget_is_spent() -> None:
    assert affordable([40, 30, 30, 1], 100) == 3
    assert affordable([40, 30], 100) == 2
    assert affordable([101], 100) == 0


def test_inputs_of_similar_length_share_a_batch() -> None:
    assert list(batches([90, 10, 95, 12], 200)) == [[1, 3], [0, 2]]


@given(LENGTHS, st.integers(100, 1000))
def test_each_input_is_in_one_batch_and_padded_batches_keep_to_the_budget(lengths: list[int], budget: int) -> None:
    made = list(batches(lengths, budget))
    assert sorted(index for batch in made for index in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= budget
