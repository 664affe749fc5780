"""A lean HTTP client: at a thousand requests a second a full one would itself be what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass
class Connection:
    """One kept-alive connection, one request at a time."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """The status and the body."""
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0]
        return int(head[9:12]), await self.reader.readexactly(int(length))

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def request(method: str, path: str, token: str, body: bytes = b"") -> bytes:
    """Its bytes."""
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", f"Authorization: Bearer {token}"]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def at_a_rate(port: int, asked: bytes, per_second: float, total: int, connections: int = 64) -> Sequence[float]:
    """Seconds that each request took from when it was due: one that waits for a free connection has begun."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    for _ in range(connections):
        free.put_nowait(await Connection.open(port))
    took: list[float] = []
    statuses: set[int] = set()
    began = time.perf_counter()

    async def ask(due: float) -> None:
        connection = await free.get()
        status, _ = await connection.ask(asked)
        free.put_nowait(connection)
        took.append(time.perf_counter() - due)
        statuses.add(status)

    async with asyncio.TaskGroup() as group:
        for number in range(total):
            due = began + number / per_second
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            group.create_task(ask(due))
    while not free.empty():
        await free.get_nowait().close()
    if len(statuses) != 1:
        raise RuntimeError(f"the answers differ: {statuses}")
    return took
