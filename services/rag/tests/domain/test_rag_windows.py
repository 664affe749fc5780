"""Which window of a passage the reranker reads."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worksite.rag.domain.windows import best_window, term_weights

TOKENS = st.lists(st.integers(0, 6), max_size=40)


def test_rarer_terms_of_the_query_weigh_more_and_absent_ones_nothing() -> None:
    weights = term_weights([1, 2, 3], [[1, 2], [1], [1, 1]])
    assert weights[2] > weights[1] > 0
    assert 3 not in weights


def test_window_with_the_match_has_words_on_both_sides_of_it() -> None:
    text = [0] * 50 + [7] + [0] * 50
    window = best_window(text, {7: 1.0}, 11)
    assert (window.start, window.stop) == (45, 56)


def test_window_with_more_of_the_query_is_better_than_one_term_many_times() -> None:
    text = [7] * 10 + [0] * 20 + [7, 8] + [0] * 20
    window = best_window(text, {7: 1.0, 8: 1.0}, 10)
    assert {7, 8} <= set(text[window])


def test_beginning_is_read_where_nothing_is_better() -> None:
    assert best_window([0] * 100, {7: 1.0}, 10).start == 0
    assert best_window([7, *[0] * 98, 7], {7: 1.0}, 10).start == 0


def test_short_text_is_one_window() -> None:
    assert [1, 2, 3][best_window([1, 2, 3], {3: 1.0}, 10)] == [1, 2, 3]
    assert best_window([], {3: 1.0}, 10).start == 0


@given(TOKENS, st.dictionaries(st.integers(0, 6), st.floats(0.1, 5), max_size=4), st.integers(1, 12))
def test_no_window_covers_more_of_the_query(tokens: list[int], weights: dict[int, float], size: int) -> None:
    def covered(start: int) -> float:
        return sum(weights.get(token, 0.0) for token in set(tokens[start : start + size]))

    chosen = best_window(tokens, weights, size)
    assert chosen.stop - chosen.start == size
    assert covered(chosen.start) >= max(map(covered, range(max(1, len(tokens) - size + 1)))) - 1e-6
