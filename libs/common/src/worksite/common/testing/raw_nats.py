"""NATS's own protocol, spoken by hand: a client library could keep from the server what we want it to refuse."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncGenerator, Iterable

_REFUSED = re.compile(r"-ERR 'Permissions Violation for (?:Publish|Subscription) to \"([^\"]+)\"")


class RawClient:
    """A connection that has said who it is."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def refused(self, verb: str, subjects: Iterable[str]) -> set[str]:
        """Those that the server does not let it `publish`, or `subscribe` to."""
        for number, subject in enumerate(subjects, 1):
            line = f"PUB {subject} 0\r\n" if verb == "publish" else f"SUB {subject} {number}"
            self._writer.write(f"{line}\r\n".encode())
        self._writer.write(b"PING\r\n")
        told: set[str] = set()
        async with asyncio.timeout(60):
            while (line := (await self._reader.readline()).decode()) != "PONG\r\n":
                assert line, "the server has hung up"
                if found := _REFUSED.match(line):
                    told.add(found[1])
        return told


@contextlib.asynccontextmanager
async def raw_client(port: int, user: str, password: str) -> AsyncGenerator[RawClient]:
    """To the server at that port of this machine."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        await reader.readline()  # INFO
        who = {"user": user, "pass": password, "verbose": False, "headers": True, "no_responders": True}
        writer.write(f"CONNECT {json.dumps(who)}\r\n".encode())
        yield RawClient(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()
