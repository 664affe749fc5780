"""Who may use the embedder next: a query at once; documents a chunk per core, and only while no query is under way.

A model call cannot be interrupted, so a query shares the cores with the chunks under way until they are done, and for
no longer. Chunks of several documents take turns, so that a long document of one tenant does not hold up a short one
of another.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress

from worksite.common.bus.consumer import Progress

PATIENCE_SECONDS = 0.25
"""The longest that a chunk waits for queries to end: a flood of them slows indexing down but never stops it."""


class Lane:
    """The order at one embedder, which works on `width` chunks side by side. `progress` turns with every chunk."""

    def __init__(self, width: int = 1) -> None:
        self.width = width
        self.progress = Progress()
        self._queries = 0
        self._no_query = asyncio.Event()
        self._no_query.set()
        self._chunks = asyncio.Semaphore(width)

    @contextmanager
    def query(self) -> Generator[None, None, None]:
        """While a query is under way."""
        self._queries += 1
        self._no_query.clear()
        try:
            yield
        finally:
            self._queries -= 1
            if not self._queries:
                self._no_query.set()

    @asynccontextmanager
    async def chunk(self) -> AsyncGenerator[None, None]:
        """While one chunk of a document is embedded."""
        async with self._chunks:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._no_query.wait(), PATIENCE_SECONDS)
            yield
            self.progress.turned()
