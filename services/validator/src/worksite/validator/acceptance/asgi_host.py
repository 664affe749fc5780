"""The candidate's side of the pipe: serve an ASGI application over JSON lines. Standard library only.

Runs in the sandbox, in one process with the candidate, so nothing here is a secret and nothing here decides anything.

    in   {"requests": [{"method", "path", "query", "headers": [[name, value]], "body": base64}]}
    out  {"ready": true} or {"ready": false, "error"}; then per line {"responses": [{"status", "headers", "body"}]}

The requests of one line are handled concurrently. The end of the input is the order to shut down.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import os
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

MAX_LINE = 16 << 20
SHUTDOWN_SECONDS = 30

Event = dict[str, Any]
App = Callable[[Event, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]]
Send = Callable[[dict[str, Any]], None]


class Lifespan:
    """Start-up and shut-down of the application; one that does not know the protocol is left alone."""

    def __init__(self, app: App) -> None:
        self.state: dict[str, Any] = {}
        self._inbox: asyncio.Queue[Event] = asyncio.Queue()
        self._told: asyncio.Queue[Event] = asyncio.Queue()
        scope: Event = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        self._task = asyncio.ensure_future(app(scope, self._inbox.get, self._told.put))

    async def start(self) -> None:
        message = await self._exchange("lifespan.startup")
        if message and message["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"start-up failed: {message.get('message', '')}")

    async def stop(self) -> None:
        if not self._task.done():
            await asyncio.wait_for(self._exchange("lifespan.shutdown"), SHUTDOWN_SECONDS)

    async def _exchange(self, kind: str) -> Event | None:
        await self._inbox.put({"type": kind})
        answer = asyncio.create_task(self._told.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done() or not self._told.empty():
            return await answer
        answer.cancel()  # the application returned or raised without an answer: it knows no lifespan
        return None


class Exchange:
    """One request and what the application sends back."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._request = request
        self._received = False
        self._finished = asyncio.Event()
        self._status: int | None = None
        self._headers: list[list[str]] = []
        self._body = bytearray()

    async def run(self, app: App, state: dict[str, Any]) -> dict[str, Any]:
        try:
            await app(self._scope(state), self._receive, self._send)
        except Exception:
            traceback.print_exc()
        if self._status is None:  # as every server does for an application that fails
            self._status, self._headers = 500, [["content-type", "text/plain; charset=utf-8"]]
            self._body[:] = b"Internal Server Error"
        body = base64.b64encode(bytes(self._body)).decode()
        return {"status": self._status, "headers": self._headers, "body": body}

    def _scope(self, state: dict[str, Any]) -> Event:
        request = self._request
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": request["method"],
            "scheme": "http",
            "path": unquote(request["path"]),
            "raw_path": request["path"].encode(),
            "query_string": request["query"].encode(),
            "root_path": "",
            "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request["headers"]],
            "client": ("127.0.0.1", 50000),
            "server": ("127.0.0.1", 80),
            "state": state.copy(),
        }

    async def _receive(self) -> Event:
        if not self._received:
            self._received = True
            return {"type": "http.request", "body": base64.b64decode(self._request["body"]), "more_body": False}
        await self._finished.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Event) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            pairs = message.get("headers", ())
            self._headers = [[bytes(name).decode("latin-1"), bytes(value).decode("latin-1")] for name, value in pairs]
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                self._finished.set()


def load(target: str, factory: bool) -> App:
    module, _, attribute = target.partition(":")
    value: Any = importlib.import_module(module)
    for name in attribute.split("."):
        value = getattr(value, name)
    return value() if factory else value


async def serve(config: dict[str, Any], send: Send) -> None:
    try:
        app = load(config["target"], config["factory"])
        lifespan = Lifespan(app)
        await lifespan.start()
    except BaseException as error:  # a candidate that exits at import must be told from one that never started
        traceback.print_exc()
        send({"ready": False, "error": f"{type(error).__name__}: {error}"[:2000]})
        return
    send({"ready": True})
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while line := await reader.readline():
        exchanges = (Exchange(request).run(app, lifespan.state) for request in json.loads(line)["requests"])
        send({"responses": await asyncio.gather(*exchanges)})
    await lifespan.stop()


def main() -> None:
    config = json.loads(sys.argv[1])
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the candidate prints must not run into the protocol

    def send(message: dict[str, Any]) -> None:
        pipe.write(json.dumps(message).encode() + b"\n")
        pipe.flush()

    sys.path[:0] = config["import_roots"]
    sys.path += config["packages"]
    asyncio.run(serve(config, send))


if __name__ == "__main__":
    main()
