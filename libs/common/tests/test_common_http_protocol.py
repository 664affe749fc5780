"""Clients that take what others need: slow ones, idle ones, ones that cannot be read. All over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from worksite.common.health import http_server
from worksite.common.http_protocol import Bounds

pytestmark = pytest.mark.asyncio
SOON = 0.2
LARGE = 32 << 20
NEVER = 300.0
HEAD = b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n"
GUARD = 120.0

Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class App:
    """Answers at once, without reading a body; holds `/held` until told; sends a lot at `/large`."""

    def __init__(self) -> None:
        self.free, self.held = asyncio.Event(), asyncio.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/begun":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await self._wait()
            await send({"type": "http.response.body", "body": b"x"})
            return
        if scope["path"] == "/held":
            await self._wait()
        body = b"x" * (LARGE if scope["path"] == "/large" else 2)
        headers = [(b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _wait(self) -> None:
        self.held.release()
        await self.free.wait()


@contextlib.asynccontextmanager
async def serving(bounds: Bounds) -> AsyncGenerator[tuple[App, Any]]:
    """The application, and how to connect to it; connections are closed at the end."""
    app = App()
    writers: list[asyncio.StreamWriter] = []
    async with asyncio.timeout(GUARD), http_server(app, "127.0.0.1", 0, bounds) as port:

        async def connect(data: bytes = b"") -> Client:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writers.append(writer)
            writer.write(data)
            return reader, writer

        yield app, connect
        app.free.set()
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def answered(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in head[1:] if line)}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def problem(reader: asyncio.StreamReader) -> tuple[int, str]:
    """An answer that is a problem document and ends the connection."""
    status, headers, body = await answered(reader)
    assert (headers["content-type"], headers["connection"]) == ("application/problem+json", "close")
    document = json.loads(body)
    assert {"type", "title", "status", "detail", "trace_id"} == document.keys()
    assert await ended(reader)
    return status, document["type"].removeprefix("urn:worksite:problem:")


async def ended(reader: asyncio.StreamReader) -> bool:
    """Has the server closed the connection, having said nothing more?"""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def trickle(writer: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        while not writer.is_closing():
            writer.write(data)
            await writer.drain()
            await asyncio.sleep(SOON / 10)


async def test_a_head_that_trickles_in_is_given_up_and_the_client_is_told() -> None:
    async with serving(Bounds(head_seconds=SOON)) as (_, connect):
        reader, writer = await connect(b"GET / HTTP/1.1\r\nHost: x\r\n")
        trickling = asyncio.create_task(trickle(writer, b"X-A: b\r\n"))

        assert await problem(reader) == (408, "too-slow")
        trickling.cancel()


async def test_a_second_head_that_trickles_in_is_given_up_too() -> None:
    async with serving(Bounds(head_seconds=SOON)) as (_, connect):
        reader, writer = await connect(HEAD)
        assert (await answered(reader))[0] == 200
        trickling = asyncio.create_task(trickle(writer, b"G"))

        assert await problem(reader) in {(408, "too-slow"), (400, "malformed-request")}
        trickling.cancel()


async def test_between_requests_a_connection_idles_longer_than_a_head_may_take_which_counts_from_its_first_byte() -> (
    None
):
    async with serving(Bounds(head_seconds=SOON)) as (_, connect):
        reader, writer = await connect(HEAD)
        assert (await answered(reader))[0] == 200
        for _ in range(3):  # each as long as a head may take
            assert await ended((await connect())[0])

        writer.write(HEAD)
        assert (await answered(reader))[0] == 200
        writer.write(HEAD[:-4])
        assert await problem(reader) == (408, "too-slow")


async def test_a_connection_idles_after_a_large_answer_too() -> None:
    async with serving(Bounds(head_seconds=SOON)) as (_, connect):
        reader, writer = await connect(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len((await answered(reader))[2]) == LARGE
        for _ in range(3):  # each as long as a look whether something has been read
            assert await ended((await connect())[0])

        writer.write(HEAD)
        assert (await answered(reader))[0] == 200


async def test_a_connection_on_which_nothing_is_said_is_closed() -> None:
    async with serving(Bounds(head_seconds=SOON)) as (_, connect):
        reader, _ = await connect()

        assert await ended(reader)


async def test_a_request_at_work_may_take_longer_than_its_head() -> None:
    async with serving(Bounds(head_seconds=SOON)) as (app, connect):
        reader, _ = await connect(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
        idle, _ = await connect()
        await app.held.acquire()
        assert await ended(idle)  # which began later

        app.free.set()

        assert (await answered(reader))[0] == 200


async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for_for_ever() -> None:
    async with serving(Bounds(rest_seconds=SOON)) as (_, connect):
        reader, writer = await connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert (await answered(reader))[0] == 200
        trickling = asyncio.create_task(trickle(writer, b"x"))

        assert await ended(reader)
        trickling.cancel()


async def test_an_answer_that_nobody_reads_is_given_up() -> None:
    async with serving(Bounds(head_seconds=SOON)) as (_, connect):
        reader, writer = await connect(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        for _ in range(4):  # each as long as a look whether something has been read
            assert await ended((await connect())[0])
        writer.transport.resume_reading()

        assert len(await reader.read()) < LARGE


async def test_a_slow_reader_gets_the_whole_answer() -> None:
    async with serving(Bounds(head_seconds=SOON)) as (_, connect):
        reader, _ = await connect(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")

        for _ in range(40):  # as long as some looks whether something has been read
            assert len(await reader.readexactly(LARGE // 40)) == LARGE // 40
            await asyncio.sleep(SOON / 10)

        assert len(await reader.readexactly(LARGE % 40)) == LARGE % 40


async def test_idle_connections_beyond_the_limit_give_way_and_others_are_served() -> None:
    async with serving(Bounds(connections=8, head_seconds=NEVER)) as (_, connect):
        idle = [await connect(b"GET / HTTP/1.1\r\n") for _ in range(40)]

        for _ in range(3):
            reader, writer = await connect(HEAD)
            assert (await answered(reader))[0] == 200
            writer.close()

        assert await ended(idle[0][0]), "the oldest went first"


async def test_requests_at_work_do_not_give_way_the_newcomer_is_told_to_come_back() -> None:
    async with serving(Bounds(connections=2, head_seconds=NEVER)) as (app, connect):
        held = [await connect(b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n") for _ in range(2)]
        for _ in held:
            await app.held.acquire()

        reader, _ = await connect()
        assert await problem(reader) == (503, "too-many-connections")

        app.free.set()
        assert [(await answered(one))[0] for one, _ in held] == [200, 200]
        reader, _ = await connect(HEAD)
        assert (await answered(reader))[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 40\r\n\r\nabcd",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\x00\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
    ],
    ids=lambda head: repr(head[:24]),
)
async def test_what_cannot_be_read_as_http_is_a_problem_and_ends_the_connection(head: bytes) -> None:
    async with serving(Bounds()) as (_, connect):
        reader, _ = await connect(head)

        assert await problem(reader) == (400, "malformed-request")


async def test_a_body_that_cannot_be_read_ends_the_connection_while_it_is_answered_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(Bounds()) as (app, connect):
        early, early_writer = await connect(head % b"/held")
        late, late_writer = await connect(head % b"/begun")
        assert (await late.readuntil(b"x\r\n")).startswith(b"HTTP/1.1 200")
        for _ in range(2):
            await app.held.acquire()

        early_writer.write(b"no length\r\n")
        late_writer.write(b"no length\r\n")

        assert await problem(early) == (400, "malformed-request")
        assert await ended(late)

    assert [record for record in caplog.records if record.exc_info] == []


async def test_there_are_fewer_connections_than_files_that_may_be_open() -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)

    assert Bounds().connections > 0
    assert soft == resource.RLIM_INFINITY or Bounds().connections < soft
