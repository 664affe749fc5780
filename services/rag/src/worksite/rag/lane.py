"""Who may use the embedder next: a query at once; documents a chunk per core, and only while no query is under way.

A model call cannot be interrupted, so a query shares the cores with the chunks under way until they are done, and for
no longer. Chunks of several documents take turns, so that a long document of one tenant does not hold up a short one
of another. What is computed for documents has threads of its own: whatever they wait for, those that queries use, which
are asyncio's, stay free.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from worksite.common.bus.consumer import Progress

PATIENCE_SECONDS = 0.25
"""The longest that a chunk waits for queries to end: a flood of them slows indexing down but never stops it."""
_T = TypeVar("_T")


class Lane:
    """The order at one embedder, which works on `width` chunks side by side, while as many documents are cut.

    `progress` turns with every chunk and every cut.
    """

    def __init__(self, width: int = 1) -> None:
        self.width = width
        self.progress = Progress()
        self._queries = 0
        self._no_query = asyncio.Event()
        self._no_query.set()
        self._chunks = asyncio.Semaphore(width)
        self._cuts = asyncio.Semaphore(width)
        self._threads = ThreadPoolExecutor(2 * width, thread_name_prefix="rag-documents")

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

    @asynccontextmanager
    async def cutting(self) -> AsyncGenerator[None, None]:
        """While one document is cut, which may take as long as its parser is given: chunks keep threads meanwhile."""
        async with self._cuts:
            yield
            self.progress.turned()

    async def computed(self, call: Callable[..., _T], *arguments: object) -> _T:
        """The result of a call in one of the documents' threads. Raises what it raises, and OSError for no thread."""
        loop = asyncio.get_running_loop()
        work: Callable[[], _T] = partial(call, *arguments)
        try:
            working = loop.run_in_executor(self._threads, copy_context().run, work)
        except RuntimeError as error:  # Python's word for what the kernel refused
            raise OSError(errno.EAGAIN, str(error)) from error
        return await working
