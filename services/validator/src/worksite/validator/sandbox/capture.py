"""Bounded collection of what a program writes to a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from worksite.validator.sandbox.errors import LineTooLong, SessionClosed

_CHUNK = 1 << 16


class Capture:
    """The first `limit` bytes of a stream. More than that is read on and dropped, so that the writer never blocks."""

    def __init__(self, limit: int) -> None:
        self.data = bytearray()
        self._room = limit
        self._ended = False
        self._changed = asyncio.Event()

    async def drain(self, reader: asyncio.StreamReader, overflow: Callable[[], None]) -> None:
        """Read to the end of `reader`; call `overflow` when there is more than the limit."""
        while chunk := await reader.read(_CHUNK):
            self.data += chunk[: self._room]
            if len(chunk) > self._room:
                overflow()
            self._room = max(0, self._room - len(chunk))
            self._changed.set()
        self._ended = True
        self._changed.set()

    async def take_line(self, limit: int) -> bytes:
        """Remove and return the next line, with its newline. Raises `LineTooLong` or `SessionClosed`."""
        searched = 0
        while (newline := self.data.find(b"\n", searched, limit)) < 0:
            searched = len(self.data)
            if searched >= limit:
                raise LineTooLong(f"the program sent a line of more than {limit} bytes")
            if self._ended:
                raise SessionClosed("the program ended its output without another line")
            self._changed.clear()
            await self._changed.wait()
        line = bytes(self.data[: newline + 1])
        del self.data[: newline + 1]
        return line
