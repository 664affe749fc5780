"""What the search endpoint makes of the engine's answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from worksite.common.messages import SearchRequest
from worksite.rag.domain.documents import Passage
from worksite.rag.domain.queries import SearchHit, SearchQuery, SearchResult
from worksite.rag.handlers import search_endpoint

MAX_MESSAGE_BYTES = 1 << 20
LONGEST_TEXT = "\x01" * 2048
"""Of a chunk; each character is escaped to six bytes."""


@dataclass
class Engine:
    """Finds a hundred passages of one text."""

    text: str

    async def search(self, query: SearchQuery) -> SearchResult:
        hits = (SearchHit(_passage(f"{at}.txt", self.text), 1 - at / 100, None, 1.0) for at in range(query.top_k))
        return SearchResult(tuple(hits), {"total": 1.0}, "no_model")


def _passage(path: str, text: str) -> Passage:
    return Passage(path, text, 0, len(text), 1, 1, (), "document", None, ())


async def answer(text: str) -> Any:
    engine: Any = Engine(text)
    return await search_endpoint(engine)(SearchRequest(tenant="acme", query="x", top_k=100))


@pytest.mark.asyncio
async def test_a_hundred_passages_of_usual_size_are_answered_whole() -> None:
    assert len((await answer("word " * 300)).results) == 100


@pytest.mark.asyncio
async def test_results_that_no_message_would_carry_are_left_out_from_the_end() -> None:
    response = await answer(LONGEST_TEXT)
    assert len(response.to_json()) < MAX_MESSAGE_BYTES
    assert [one.path for one in response.results] == [f"{at}.txt" for at in range(len(response.results))]
    assert len(response.results) > 50
