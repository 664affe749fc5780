"""HTTP/1.1 by h11 on asyncio: low enough to stop in the middle of a frame, or to say nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncGenerator
from typing import Any

import h11
from worksite.common.testing.messages_api.answers import Answer
from worksite.common.testing.messages_api.api import MessagesApi

_READ_BYTES = 65_536


@contextlib.asynccontextmanager
async def serving(api: MessagesApi, port: int = 0) -> AsyncGenerator[str]:
    """Serve on the loopback interface; yields what belongs into ANTHROPIC_BASE_URL. Connections end with it."""
    connections = set[asyncio.Task[None]]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(task := asyncio.create_task(_connection(api, reader, writer)))
        task.add_done_callback(connections.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)
        await server.wait_closed()


async def _connection(api: MessagesApi, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_READ_BYTES)
    try:
        while await _exchange(api, connection, reader, writer):
            connection.start_next_cycle()
    except (h11.ProtocolError, OSError):
        pass  # the client went away, or is none
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _exchange(
    api: MessagesApi, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    """One request and its answer; false when the connection has served its time."""
    request = await _next(connection, reader)
    if not isinstance(request, h11.Request):
        return False
    body = b""
    while isinstance(event := await _next(connection, reader), h11.Data):
        body += event.data
    headers = {name.decode().lower(): value.decode() for name, value in request.headers}
    path = request.target.decode().partition("?")[0]
    answer = api.answer(request.method.decode(), path, headers, body)
    await _send(answer, connection, writer)
    return await _end(answer, connection, reader, writer)


async def _next(connection: h11.Connection, reader: asyncio.StreamReader) -> Any:
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(_READ_BYTES))
    return event


async def _send(answer: Answer, connection: h11.Connection, writer: asyncio.StreamWriter) -> None:
    if answer.ending == "silent":
        return
    headers = [("content-type", answer.media_type), ("transfer-encoding", "chunked"), *answer.headers.items()]
    _write(connection, writer, h11.Response(status_code=answer.status, headers=headers))
    for chunk in answer.chunks:
        if answer.pause_seconds:
            await asyncio.sleep(answer.pause_seconds)
        _write(connection, writer, h11.Data(data=chunk))
        await writer.drain()


async def _end(
    answer: Answer, connection: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> bool:
    if answer.ending == "end":
        _write(connection, writer, h11.EndOfMessage())
        await writer.drain()
        return connection.our_state is h11.DONE
    if answer.ending in {"stall", "silent"}:
        await reader.read()  # until the client has had enough
    if answer.ending == "reset":
        _reset_on_close(writer)
    return False


def _write(connection: h11.Connection, writer: asyncio.StreamWriter, event: h11.Event) -> None:
    writer.write(connection.send(event) or b"")


def _reset_on_close(writer: asyncio.StreamWriter) -> None:
    """An RST instead of a FIN: nothing lingers."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
