"""What the proxy does to a connection, and to whose."""

import asyncio
import contextlib
import time

import pytest
import pytest_asyncio
from proxy import Proxy, Weather

HELLO = b'CONNECT {"user": "%s"}\r\n'


@pytest_asyncio.fixture
async def proxy_of_an_echo():
    """A proxy before a server that sends everything back, and a way to connect as some service."""
    writers = []

    async def echo(reader, writer):
        writers.append(writer)
        with contextlib.suppress(OSError):
            while data := await reader.read(1024):
                writer.write(data)

    async def connect(service):
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(front))
        writers.append(writer)
        await say(writer, HELLO % service.encode())
        return reader, writer

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        proxy = Proxy(port_of(server))
        async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as front:
            yield proxy, connect
            await proxy.end()
        for writer in writers:
            writer.transport.abort()


def port_of(server):
    return server.sockets[0].getsockname()[1]


async def say(writer, data):
    writer.write(data)
    await writer.drain()


async def heard(reader):
    return await asyncio.wait_for(reader.read(1024), 10)


async def is_silent(reader):
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(reader.read(1024), 0.1)
        return False
    return True


@pytest.mark.asyncio
async def test_what_is_said_arrives_unchanged(proxy_of_an_echo):
    _, connect = proxy_of_an_echo
    reader, writer = await connect("builder")
    assert await heard(reader) == HELLO % b"builder"
    await say(writer, b"PING\r\n")
    assert await heard(reader) == b"PING\r\n"


@pytest.mark.asyncio
async def test_a_reset_breaks_the_connections_of_one_service_and_no_others(proxy_of_an_echo):
    proxy, connect = proxy_of_an_echo
    struck, spared = await connect("builder"), await connect("admin")
    await asyncio.gather(heard(struck[0]), heard(spared[0]))
    assert proxy.reset("builder") == 1
    with contextlib.suppress(ConnectionResetError):
        assert await heard(struck[0]) == b""
    await say(spared[1], b"PING\r\n")
    assert await heard(spared[0]) == b"PING\r\n"


@pytest.mark.asyncio
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_half_open_connection_swallows_what_is_said_and_stays_so(proxy_of_an_echo, direction):
    proxy, connect = proxy_of_an_echo
    reader, writer = await connect("builder")
    await heard(reader)
    with proxy.weather("builder", Weather(swallows=direction)):
        newcomer, _ = await connect("builder")
        assert await is_silent(newcomer)
    await say(writer, b"PING\r\n")
    assert await is_silent(reader)
    assert proxy.half_open() == 2


@pytest.mark.asyncio
async def test_the_weather_for_everybody_delays_and_is_over_with_its_block(proxy_of_an_echo):
    proxy, connect = proxy_of_an_echo
    reader, writer = await connect("builder")
    await heard(reader)
    with proxy.weather("nats", Weather(delay_seconds=0.2, bytes_per_second=1000)):
        started = time.monotonic()
        await say(writer, b"x" * 100)
        assert await heard(reader) == b"x" * 100
        assert time.monotonic() - started > 0.5  # twice 0.2 s, and twice 100 bytes at 1000 a second
    assert proxy.half_open() == 0


@pytest.mark.asyncio
async def test_two_runs_may_strike_one_program_at_once_and_the_longer_one_lasts(proxy_of_an_echo):
    proxy, connect = proxy_of_an_echo
    longer, shorter = Weather(swallows="up"), Weather()
    with proxy.weather("builder", longer):
        with proxy.weather("builder", shorter):
            pass
        reader, writer = await connect("builder")
        await say(writer, b"lost")
        assert await is_silent(reader)
    assert proxy.half_open() == 1
