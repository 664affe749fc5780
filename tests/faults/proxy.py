"""A TCP proxy between the services and nats-server: on command it delays, throttles, resets and half-opens.

It listens where the services look for nats-server, which moves to another port behind it: so nothing in a service knows
of it. Whose a connection is, the client says itself in its CONNECT.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from running import Stack
from worksite.common.processes import free_port

EVERYBODY = "nats"
"""Stands for the services all together: their one server is struck."""
_HOST = "127.0.0.1"
_USER = re.compile(rb'"user":\s*"(\w+)"')
_CHUNK_BYTES = 64 * 1024
_PATIENCE_SECONDS = 30.0
Direction = Literal["up", "down"]
"""`up`: from the service to nats-server."""


@dataclass(frozen=True)
class Weather:
    """What a connection is like; `swallows`: nothing arrives any more in that direction, and nobody is told."""

    delay_seconds: float = 0.0
    bytes_per_second: float = float("inf")
    swallows: Direction | None = None


_CALM = Weather()


@dataclass(eq=False)
class _Link:
    """One connection of a service, and ours to nats-server for it."""

    ends: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    service: str = ""
    swallows: Direction | None = None
    """Stays when the weather is fine again: what was swallowed is missing for good."""

    def reset(self) -> None:
        for writer in self.ends:
            writer.transport.abort()


class Proxy:
    """Use `proxied`."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._weather: list[tuple[str, Weather]] = []
        """The newest last. Runs that go on at once may strike the same program."""
        self._links: set[_Link] = set()
        self._closed = False
        self._pumping: set[asyncio.Task[None]] = set()

    def reset(self, program: str) -> int:
        """Break its connections now, as a router that lost its tables does; returns how many."""
        struck = self._of(program)
        for link in struck:
            link.reset()
        return len(struck)

    @contextlib.contextmanager
    def weather(self, program: str, weather: Weather) -> Iterator[None]:
        """For its connections inside the block. What was half-open stays so until one of the ends gives it up."""
        told = (program, weather)
        self._weather.append(told)
        for link in self._of(program):
            link.swallows = link.swallows or weather.swallows
        try:
            yield
        finally:
            self._weather.remove(told)

    @contextlib.contextmanager
    def unreachable(self) -> Iterator[None]:
        """Inside the block every connection is broken, and so is each new one."""
        self._closed = True
        self.reset(EVERYBODY)
        try:
            yield
        finally:
            self._closed = False

    def half_open(self) -> int:
        """How many connections are so now."""
        return sum(link.swallows is not None for link in self._links)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until both its ends are gone."""
        if self._closed:
            writer.transport.abort()
            return
        try:
            from_server, to_server = await asyncio.open_connection(_HOST, self._server_port)
        except OSError:
            writer.transport.abort()
            return
        link = _Link((writer, to_server))
        self._links.add(link)
        pumps = [
            asyncio.create_task(self._pump(link, "up", reader, to_server)),
            asyncio.create_task(self._pump(link, "down", from_server, writer)),
        ]
        self._pumping.update(pumps)
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            link.reset()
            await asyncio.wait(pumps)
            self._pumping.difference_update(pumps)
            self._links.discard(link)

    async def end(self) -> None:
        for link in self._links:
            link.reset()
        while self._links:
            await asyncio.sleep(0.01)

    def _of(self, program: str) -> list[_Link]:
        return [link for link in self._links if program in (EVERYBODY, link.service)]

    async def _pump(
        self, link: _Link, direction: Direction, source: asyncio.StreamReader, sink: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK_BYTES):
                if direction == "up" and not link.service and (user := _USER.search(data)):
                    link.service = user.group(1).decode()
                    link.swallows = self._now(link).swallows
                weather = self._now(link)
                await asyncio.sleep(weather.delay_seconds + len(data) / weather.bytes_per_second)
                if link.swallows != direction:
                    sink.write(data)
                    await sink.drain()

    def _now(self, link: _Link) -> Weather:
        told = {program: weather for program, weather in self._weather if program in (EVERYBODY, link.service)}
        return told.get(link.service) or told.get(EVERYBODY) or _CALM


@contextlib.asynccontextmanager
async def proxied(stack: Stack) -> AsyncGenerator[Proxy]:
    """The stack's nats-server is behind a proxy inside the block, and back in its place after it."""
    public, hidden = urlsplit(stack.address("nats_url")).port or 0, free_port()
    await _move(stack, hidden)
    proxy = Proxy(hidden)
    try:
        async with await asyncio.start_server(proxy.serve, _HOST, public):
            yield proxy
    finally:
        await proxy.end()
        await _move(stack, public)


async def _move(stack: Stack, port: int) -> None:
    """Its supervisor starts it again, with the changed configuration."""
    _configure(stack.state / "nats" / "nats.conf", port)
    if pid := stack.pid("nats"):
        os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not await _listens(port):
            await asyncio.sleep(0.05)


def _configure(file: Path, port: int) -> None:
    changed, times = re.subn(r"^port: \d+$", f"port: {port}", file.read_text(), flags=re.M)
    assert times == 1, f"{file} names {times} ports"
    file.write_text(changed)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection(_HOST, port)
    except OSError:
        return False
    writer.transport.abort()
    return True
