"""The server's books: one line for each response that cost something, whatever became of it on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from worksite.common.llm.usage import Usage


@dataclass(frozen=True)
class Billed:
    """`complete`: it was sent to its end; otherwise up to `usage.output_tokens`."""

    response_id: str
    workspace: str
    model: str
    usage: Usage


def total(lines: Iterable[Billed]) -> Usage:
    """Of all lines."""
    result = Usage()
    for line in lines:
        result += line.usage
    return result
