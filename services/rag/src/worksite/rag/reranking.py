"""Reranking under a deadline: scores come in time, or the caller keeps the order that it has."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from worksite.rag.domain.fusion import RERANK_WEIGHT
from worksite.rag.reranker import Attempt, CrossEncoder, DeadlineExceeded

TOKENS = 1000
"""Nine or ten passages. More gain little: mean nDCG@10 is 0.500 with 1,000, 0.501 with 1,500, 0.502 with 2,000."""
SECONDS = 0.17
"""Leaves the rest of a search its share of 0.2 seconds."""


@dataclass(frozen=True, slots=True)
class Reranking:
    """A cross-encoder and what it may cost.

    `weight` is that of its scores against the first stage's, `seconds` the age that a search may reach with it,
    `tokens` what it reads of query and passages together. Searches take turns: two at once would both be late.
    """

    model: CrossEncoder
    weight: float = RERANK_WEIGHT
    seconds: float = SECONDS
    tokens: int = TOKENS
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def scores(self, query: str, passages: Sequence[tuple[str, str]], started: float) -> list[float]:
        """The scores of the first passages, as `CrossEncoder.score` gives them.

        `started` is when the search began, by the event loop's clock. Raises DeadlineExceeded; the model is left at
        work no longer than one of its layers takes.
        """
        attempt = Attempt()
        try:
            async with asyncio.timeout_at(started + self.seconds), self._turn:
                return await asyncio.to_thread(self.model.score, query, passages, self.tokens, attempt)
        except TimeoutError as error:
            raise DeadlineExceeded from error
        finally:
            attempt.end()
