"""Which index answers: replaced under load, without a search that fails."""

from __future__ import annotations

import asyncio
from collections import Counter

from worksite.rag.domain.queries import SearchQuery, SearchResult
from worksite.rag.search import SearchEngine


class Answering:
    """The engine that answers. A search ends with the engine that it began with."""

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        self._under_way: Counter[int] = Counter()
        self._ended = asyncio.Condition()

    async def search(self, query: SearchQuery) -> SearchResult:
        """Ask the engine of this moment."""
        engine = self._engine
        self._under_way[id(engine)] += 1
        try:
            return await engine.search(query)
        finally:
            self._under_way[id(engine)] -= 1
            if engine is not self._engine:
                async with self._ended:
                    self._ended.notify_all()

    def replace(self, engine: SearchEngine) -> SearchEngine:
        """From now on this engine is asked; returns the one before, which may still be answering."""
        former, self._engine = self._engine, engine
        return former

    async def released(self, engine: SearchEngine) -> None:
        """Wait until a replaced engine answers nothing any more, and its store can be closed."""
        async with self._ended:
            await self._ended.wait_for(lambda: not self._under_way[id(engine)])
        del self._under_way[id(engine)]
