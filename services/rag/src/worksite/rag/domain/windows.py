"""Which part of a passage a cross-encoder reads: the window of tokens that covers the query best."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence


def term_weights(query: Iterable[int], passages: Sequence[Iterable[int]]) -> dict[int, float]:
    """How much each token of a query tells candidates apart: the fewer of them hold it, the more it weighs."""
    wanted = set(query)
    frequency = Counter(token for passage in passages for token in wanted.intersection(passage))
    return {token: math.log(1 + len(passages) / count) for token, count in frequency.items()}


def best_window(tokens: Sequence[int], weights: Mapping[int, float], size: int) -> slice:
    """The `size` tokens that hold the heaviest set of the query's tokens, each counted once.

    Where a passage's beginning is as good as any other window it is chosen, for what a text is about stands
    there; among other equally good neighbours, the one in the middle, which leaves words on both sides of a match.
    """
    first = last = 0
    best = -1.0
    for start, weight in enumerate(_window_weights(tokens, weights, size)):
        if weight > best + 1e-9:
            first, last, best = start, start, weight
        elif weight > best - 1e-9 and last == start - 1:
            last = start
    start = 0 if first == 0 else (first + last) // 2
    return slice(start, start + size)


def _window_weights(tokens: Sequence[int], weights: Mapping[int, float], size: int) -> Iterable[float]:
    """The weight of each window, by its start; a text shorter than a window is one."""
    inside = Counter(token for token in tokens[:size] if token in weights)
    total = sum(weights[token] for token in inside)
    yield total
    for leaving, entering in zip(tokens, tokens[size:], strict=False):
        if leaving in weights:
            inside[leaving] -= 1
            total -= weights[leaving] * (inside[leaving] == 0)
        if entering in weights:
            total += weights[entering] * (inside[entering] == 0)
            inside[entering] += 1
        yield total
