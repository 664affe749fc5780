"""A search that has begun ends with the engine that it began with, however soon that is replaced."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from worksite.rag.answering import Answering
from worksite.rag.domain.queries import Scope, SearchQuery, SearchResult

pytestmark = pytest.mark.asyncio
QUERY = SearchQuery("tokens", Scope("acme"))


class _Engine:
    """Answers when told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.result = SearchResult((), {}, None)

    async def search(self, query: SearchQuery) -> SearchResult:
        await self.may_answer.wait()
        return self.result


async def test_replaced_engine_is_released_when_its_last_search_has_ended_and_new_ones_ask_the_other() -> None:
    former: Any = _Engine()
    current: Any = _Engine()
    current.may_answer.set()
    answering = Answering(former)
    begun = [asyncio.create_task(answering.search(QUERY)) for _ in range(2)]
    await asyncio.sleep(0)

    assert answering.replace(current) is former
    assert await answering.search(QUERY) is current.result
    released = asyncio.create_task(answering.released(former))
    begun[0].cancel()
    await asyncio.wait({begun[0]})
    assert not released.done()
    former.may_answer.set()
    assert await begun[1] is former.result
    await asyncio.wait_for(released, 10)


async def test_engine_that_answers_nothing_is_released_at_once() -> None:
    former: Any = _Engine()
    answering = Answering(former)
    answering.replace(former)
    await asyncio.wait_for(answering.released(former), 10)
