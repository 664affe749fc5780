"""How many bytes may be in memory at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from worksite.common.errors import ServiceUnavailable

TOTAL_BYTES = 256 * 1024 * 1024
"""Of artifacts that are sent, and as many of documents that are received."""
PATIENCE_SECONDS = 10.0


class ByteBudget:
    """A semaphore that counts bytes. It serves in the order of arrival: small ones cannot starve a large one."""

    def __init__(self, total: int = TOTAL_BYTES, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._total = self._free = total
        self._patience_seconds = patience_seconds
        self._turn = asyncio.Lock()
        self._returned = asyncio.Event()

    @contextlib.asynccontextmanager
    async def take(self, size: int) -> AsyncGenerator[None]:
        """Hold so many bytes; more than there are count as all. Raises ServiceUnavailable when others keep them."""
        wanted = min(size, self._total)
        try:
            async with asyncio.timeout(self._patience_seconds), self._turn:
                await self._until_free(wanted)
        except TimeoutError:
            raise ServiceUnavailable("too much is being sent at once") from None
        self._free -= wanted
        try:
            yield
        finally:
            self._free += wanted
            self._returned.set()

    async def _until_free(self, wanted: int) -> None:
        while self._free < wanted:
            self._returned.clear()
            await self._returned.wait()
