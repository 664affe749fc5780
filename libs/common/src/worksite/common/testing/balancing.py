"""One address for several HTTP servers, as a Kubernetes Service or a TCP proxy makes it.

New connections go in turn to servers whose `/readyz` says 200; a refused connect is tried at the next one. What is
connected stays where it is until one of its ends closes: nothing in between knows of requests.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import httpx

_HOST = "127.0.0.1"
_CHUNK_BYTES = 64 * 1024
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 10.0


class Balancer:
    """Use `balanced`."""

    def __init__(self, port: int) -> None:
        self.url = f"http://{_HOST}:{port}"
        self._ready: dict[str, bool] = {}
        self._turns = 0

    def add(self, url: str) -> None:
        """A server behind the address from now on, whenever it is ready."""
        self._ready[url] = False

    async def until_ready(self, url: str) -> None:
        """Until new connections may go there."""
        while not self._ready[url]:
            await asyncio.sleep(_LOOK_SECONDS)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until both its ends are closed."""
        try:
            from_server, to_server = await self._connected()
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as pumps:
                pumps.create_task(_pump(reader, to_server))
                pumps.create_task(_pump(from_server, writer))
        finally:
            for end in (writer, to_server):
                end.transport.abort()

    async def look(self) -> None:
        """At every server, again and again."""
        async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
            while True:
                for url in list(self._ready):
                    self._ready[url] = await _is_ready(http, url)
                await asyncio.sleep(_LOOK_SECONDS)

    async def _connected(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the next server that takes the connection. Raises TimeoutError where none does."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while True:
                ready = [url for url, ready in self._ready.items() if ready]
                self._turns += 1
                for url in (*ready[self._turns % len(ready) :], *ready[: self._turns % len(ready)]) if ready else ():
                    with contextlib.suppress(OSError):
                        return await asyncio.open_connection(_HOST, httpx.URL(url).port)
                await asyncio.sleep(_LOOK_SECONDS)


async def _is_ready(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(f"{url}/readyz", headers={"Connection": "close"})).status_code == 200
    except httpx.HTTPError:
        return False


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Everything, then the end of it; either end may close before the other."""
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
        sink.write_eof()


@contextlib.asynccontextmanager
async def balanced(*urls: str) -> AsyncGenerator[Balancer]:
    """The servers at these addresses, at one address."""
    connections = set[asyncio.Task[None]]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(serving := asyncio.create_task(balancer.serve(reader, writer)))
        serving.add_done_callback(connections.discard)

    server = await asyncio.start_server(connected, _HOST, 0)
    balancer = Balancer(server.sockets[0].getsockname()[1])
    for url in urls:
        balancer.add(url)
    looking = asyncio.create_task(balancer.look())
    try:
        async with server:
            for url in urls:
                await balancer.until_ready(url)
            yield balancer
    finally:
        for task in (looking, *connections):
            task.cancel()
        await asyncio.gather(looking, *connections, return_exceptions=True)
