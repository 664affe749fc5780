"""What a model computes at a time, counted in tokens, because that is what computing costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def affordable(lengths: Sequence[int], budget: int) -> int:
    """How many inputs, from the first on, have no more tokens together than the budget."""
    spent = 0
    for count, length in enumerate(lengths):
        spent += length
        if spent > budget:
            return count
    return len(lengths)


def batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Indexes of inputs of similar length, so that little is padded; a batch's padded size keeps to the budget.

    An input longer than the budget is a batch by itself.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[index] > budget:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
