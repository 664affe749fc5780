"""What attackers send, over real connections to a real server: each is refused in plain words and changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from worksite.common import subjects
from worksite.common.bus import Bus
from worksite.common.health import http_server
from worksite.common.http_protocol import Bounds
from worksite.gateway import body, openapi
from worksite.gateway.domain.heads import MAX_HEADERS, fault_of
from worksite.gateway.domain.principal import ROLES
from worksite.gateway.routes import tokens

pytestmark = pytest.mark.asyncio
Mint = Callable[..., str]
GUARD = 120.0
CONNECTIONS = 12
ABSENT = {"task_id": "0" * 32, "name": "spec.md", "upload_id": "0" * 64, "document_id": "0" * 32, "sequence": "1"}


@dataclass(frozen=True)
class Answer:
    status: int
    slug: str
    detail: str


@dataclass(frozen=True)
class Server:
    """Speaks to a gateway without a client library that would tidy up what it sends."""

    port: int
    token: str
    writers: list[asyncio.StreamWriter]

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writers.append(writer)
        writer.write(data)
        return reader, writer

    def head(self, method: str, target: str, *lines: str, token: bool = True) -> bytes:
        bearer = (f"Authorization: Bearer {self.token}",) if token else ()
        return "\r\n".join((f"{method} {target} HTTP/1.1", "Host: x", *bearer, *lines, "", "")).encode("latin-1")

    async def ask(self, data: bytes) -> Answer:
        reader, _ = await self.connect(data)
        return await answered(reader)


async def answered(reader: asyncio.StreamReader) -> Answer:
    """An answer that has to be a problem document, or empty."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status = int(head.split()[1])
    size = next(int(line.split(":")[1]) for line in head.lower().split("\r\n") if line.startswith("content-length"))
    content = await reader.readexactly(size)
    if status < 400:
        return Answer(status, "", "")
    assert "application/problem+json" in head, head
    document = json.loads(content)
    return Answer(status, document["type"].removeprefix("urn:worksite:problem:"), document["detail"])


@pytest_asyncio.fixture
async def server(app: FastAPI, mint: Mint) -> AsyncIterator[Server]:
    writers: list[asyncio.StreamWriter] = []
    bounds = Bounds(connections=CONNECTIONS, head_seconds=GUARD)
    async with asyncio.timeout(GUARD), http_server(app, "127.0.0.1", 0, bounds) as port:
        yield Server(port, mint(roles=sorted(ROLES)), writers)
        for writer in writers:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


async def written(bus: Bus) -> dict[str, int]:
    return {name: (await bus.jetstream.stream_info(name)).state.last_seq for name in subjects.STORES if name != "RATE"}


# -- tokens where they do not belong


async def test_two_authorization_headers_are_refused_whichever_of_them_is_good(server: Server, mint: Mint) -> None:
    for other in (f"Bearer {mint(tenant='beta')}", "Bearer x", "Basic YTpi", ""):
        answer = await server.ask(server.head("GET", "/v1/tasks", f"Authorization: {other}"))
        assert (answer.status, answer.slug) == (400, "repeated-header")


async def test_a_token_in_the_url_is_refused_and_does_not_reach_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("access_token", "ACCESS_TOKEN", "access%5Ftoken"):
        for token in (False, True):  # beside a good header as well
            answer = await server.ask(server.head("GET", f"/v1/tasks?{name}={server.token}", token=token))
            assert (answer.status, answer.slug) == (400, "token-in-url")
            assert "Authorization: Bearer" in answer.detail

    assert server.token.split(".")[2] not in caplog.text


# -- requests that two readers would read differently


@pytest.mark.parametrize("order", [1, -1])
async def test_a_length_told_in_two_ways_is_refused_and_what_follows_is_not_read(
    server: Server, bus: Bus, order: int
) -> None:
    smuggled = server.head("POST", "/v1/tasks", "Content-Type: application/json", "Content-Length: 15")
    inner = b"0\r\n\r\n" + smuggled + b'{"request":"x"}'
    lengths = [f"Content-Length: {len(inner)}", "Transfer-Encoding: chunked"][::order]
    before = await written(bus)

    reader, _ = await server.connect(server.head("POST", "/v1/search", *lengths) + inner)
    answer = await answered(reader)

    assert (answer.status, answer.slug) == (400, "ambiguous-length")
    assert await reader.read() == b"", "the connection ends with the answer"
    assert await written(bus) == before


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 2", "Content-Length: 20"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: gzip, chunked",),
        ("Content-Length: +2",),
    ],
)
async def test_a_length_that_cannot_be_read_is_refused(server: Server, lines: tuple[str, ...]) -> None:
    reader, _ = await server.connect(server.head("POST", "/v1/tasks", *lines) + b"{}" + server.head("GET", "/v1/tasks"))

    assert (await answered(reader)).slug == "malformed-request"
    assert await reader.read() == b""


async def test_a_flood_of_headers_is_refused(server: Server) -> None:
    many = [f"X-{n}: y" for n in range(MAX_HEADERS)]
    answers = [
        await server.ask(server.head("GET", "/v1/tasks", *lines))
        for lines in (many, [f"X: {'y' * 17_000}"], [f"X-{n}: {'y' * 1000}" for n in range(90)])
    ]

    assert {(answer.status, answer.slug) for answer in answers} <= {(431, "head-too-large"), (400, "malformed-request")}
    assert answers[0].status == 431


@pytest.mark.parametrize(
    ("headers", "query", "fault"),
    [
        ([], b"", None),
        ([(b"content-length", b"2")], b"a=b&token=x", None),
        ([(b"content-encoding", b"identity")], b"", None),
        ([(b"content-encoding", b"GZIP")], b"", "encoded"),
        ([(b"content-type", b"a/b"), (b"content-type", b"c/d")], b"", "repeated"),
        ([(b"idempotency-key", b"a"), (b"idempotency-key", b"a")], b"", "repeated"),
        ([(b"x", b"y")] * 101, b"", "too-large"),
        ([(b"x", b"y" * 16_384)], b"", "too-large"),
        ([], b"Access_Token=", "token-in-url"),
        ([], b"\xff=%ff&access_token", "token-in-url"),
    ],
)
async def test_a_head_is_judged_by_what_it_says(headers: Any, query: bytes, fault: str | None) -> None:
    assert fault_of(headers, query) == fault


# -- bodies that unpack


async def test_a_compressed_body_is_refused_before_anybody_unpacks_it(server: Server, bus: Bus) -> None:
    bomb = gzip.compress(b'{"request": "' + b"x" * (10 << 20) + b'"}')
    before = await written(bus)
    for path, kind in (("/v1/tasks", "json"), ("/v1/search", "json"), ("/mcp", "json"), ("/v1/uploads", "zip")):
        for encoding in ("gzip", "GZIP", "deflate", "br", "identity, gzip"):
            lines = (
                f"Content-Encoding: {encoding}",
                f"Content-Type: application/{kind}",
                f"Content-Length: {len(bomb)}",
            )
            answer = await server.ask(server.head("POST", path, *lines) + bomb)
            assert (answer.status, answer.slug) == (415, "unsupported-content-encoding")

    assert await written(bus) == before


# -- names that lead elsewhere

HOSTILE = [
    "..", "../../etc/passwd", "..\\..\\etc\\passwd", "/etc/passwd", "....//", "spec.md/../spec.json", "spec.md\0.png",
    "\0", "．．／spec.md", "‥/spec.md", "%2e%2e%2fspec.md", "spec.md%00", "spec.md;a=b", "spec.md ", "SPEC.MD", ">",
    "*", "acme.>", "a" * 4000, "\u202e", "Ł", "\r\nX-Injected: 1",
]  # fmt: skip
RAW = ["%c0%ae%c0%ae%c0%af", "%ff", "..", ".", "..;", "..%2f..%2f", "%5c..%5c", "%252e%252e%252f", "a/../../b"]


@pytest.mark.parametrize("name", ABSENT)
async def test_a_name_that_leads_elsewhere_is_not_found_on_any_route(server: Server, bus: Bus, name: str) -> None:
    paths = json.loads(openapi.document())["paths"]
    routes = [(m, path) for path, found in paths.items() for m in found if f"{{{name}}}" in path]
    before = await written(bus)

    reader, writer = await server.connect()
    for method, path in routes:
        for hostile in [*(quote(one, safe="") for one in HOSTILE), *RAW]:
            writer.write(server.head(method.upper(), path.format(**ABSENT | {name: hostile}), "Content-Length: 0"))
            answer = await answered(reader)
            assert (answer.status, answer.slug) in {(404, "not-found"), (405, "method-not-allowed")}, (path, hostile)

    assert routes
    assert await written(bus) == before


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c date", "ssh://git@example.com/x", "git@example.com:x", "--upload-pack=date", "/etc", "gopher://x/y",
        "https://ann:s3cret@example.com/x", "https://s3cret@example.com/x", "http://", "https://example.com/x?token=s3cret",
        "https://exa mple.com/x", "https://example.com/\nx", "fd::17", "HTTPS://example.com/x", "https:example.com",
    ],
)  # fmt: skip
async def test_a_url_that_git_should_not_be_given_does_not_get_past_the_door(
    client: httpx.AsyncClient, admin: Any, url: str
) -> None:
    for named in (
        {"request": "x", "project": {"git_url": url}},
        {
            "request": "x",
            "project": {"git_url": "https://ok.example/x"},
            "options": {"deliver": {"push": {"url": url}}},
        },
    ):
        answer = await client.post("/v1/tasks", json=named)
        assert answer.status_code == 422
        assert "s3cret" not in answer.text

    assert await admin.submitted() == []


# -- clients that take their time


async def test_a_body_that_trickles_in_is_given_up(server: Server, monkeypatch: pytest.MonkeyPatch, bus: Bus) -> None:
    monkeypatch.setattr(body, "_BODY_SECONDS", 0.2)
    before = await written(bus)

    async def slow(path: str, kind: str) -> Answer:
        head = server.head("POST", path, f"Content-Type: {kind}", "Content-Length: 1000", "Accept: application/json")
        reader, writer = await server.connect(head + b"{")
        waiting = asyncio.create_task(answered(reader))
        while not waiting.done():
            writer.write(b" ")
            await asyncio.sleep(0.02)
        return await waiting

    json_paths = ("/v1/tasks", "/v1/search", "/v1/route/explain")
    answers = [await slow(path, "application/json") for path in json_paths]
    answers.append(await slow("/mcp", "application/json"))
    monkeypatch.setattr(body, "_BODY_SECONDS", 600)
    monkeypatch.setattr(tokens, "_BODY_SECONDS", 0.2)
    answers.append(await slow("/oauth/token", "application/x-www-form-urlencoded"))

    assert {(answer.status, answer.slug) for answer in answers} == {(408, "too-slow")}
    assert await written(bus) == before


async def test_slow_and_idle_connections_do_not_keep_others_from_being_served(server: Server) -> None:
    """Slowloris: many more connections than there may be, each with half a head, none with a whole one."""
    idle = [await server.connect(b"GET /v1/tasks HTTP/1.1\r\nHost: x\r\n") for _ in range(CONNECTIONS * 4)]

    for _ in range(5):
        assert (await server.ask(server.head("GET", "/v1/tasks"))).status == 200
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        assert (await client.get("/readyz")).status_code == 200
    with contextlib.suppress(ConnectionError):
        assert await idle[0][0].read() == b"", "the oldest had to go"


async def test_slow_bodies_do_not_keep_others_from_being_served(server: Server) -> None:
    """Bodies that are waited for are requests at work, so their tenant's own are all that could be in the way."""
    for _ in range(CONNECTIONS - 2):
        await server.connect(server.head("POST", "/v1/tasks", "Content-Type: application/json", "Content-Length: 9"))

    for _ in range(5):
        assert (await server.ask(server.head("GET", "/v1/tasks"))).status == 200
