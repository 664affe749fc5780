"""What cannot be searched for or stored is refused with what is wrong, by HTTP and by MCP, and the gateway goes on."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from worksite.common.bus import Bus, announce, answer
from worksite.common.health import http_server
from worksite.common.messages import Message, SearchRequest, SearchResponse
from worksite.gateway.routes import search

pytestmark = pytest.mark.asyncio
SEARCH, DOCUMENTS = "/v1/search", "/v1/knowledge/documents"
JSON = {"Content-Type": "application/json"}
MULTIPART = "multipart/form-data; boundary=b"
MCP = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"}
MAY, JUNE = "2026-05-01T00:00:00Z", "2026-06-01T00:00:00Z"
SECRET = "hunter2-do-not-echo"
NOTHING = "holds nothing to look for: no letter, digit or sign"

QUERIES: list[tuple[dict[str, Any], str, str]] = [
    ({}, "query", "Field required"),
    ({"query": ""}, "query", "at least 1 character"),
    ({"query": " \n\t\u2003"}, "query", NOTHING),
    ({"query": "\x00\x01\x1b\x7f"}, "query", NOTHING),
    ({"query": "\u200b\u2060\ufeff\u202e"}, "query", NOTHING),
    ({"query": "word " * 10_000}, "query", "at most 2000 characters"),
    ({"query": 7}, "query", "valid string"),
    ({"query": ["x"]}, "query", "valid string"),
    ({"query": "x", "top_k": 0}, "top_k", "greater than or equal to 1"),
    ({"query": "x", "top_k": -(10**30)}, "top_k", "greater than or equal to 1"),
    ({"query": "x", "top_k": 101}, "top_k", "less than or equal to 100"),
    ({"query": "x", "top_k": "5"}, "top_k", "valid integer"),
    ({"query": "x", "top_k": 1.5}, "top_k", "valid integer"),
    ({"query": "x", "rerank": "yes"}, "rerank", "valid boolean"),
    ({"query": "x", "mode": SECRET}, "mode", "'hybrid'"),
    ({"query": "x", "rrf": {"k": 0}}, "rrf.k", "greater than or equal to 1"),
    ({"query": "x", "rrf": {"dense": -1}}, "rrf.dense", "greater than or equal to 0"),
    ({"query": "x", "surprise": SECRET}, "surprise", "not permitted"),
    ({"query": "x", "tenant": "rival"}, "tenant", "not permitted"),
    ({"query": "x", "filters": {"owner": SECRET}}, "filters.owner", "not permitted"),
    ({"query": "x", "filters": {"tenant": "rival"}}, "filters.tenant", "not permitted"),
    ({"query": "x", "filters": []}, "filters", "object"),
    ({"query": "x", "filters": {"kind": SECRET}}, "filters.kind", "'blueprint'"),
    ({"query": "x", "filters": {"tags": "x"}}, "filters.tags", "valid array"),
    ({"query": "x", "filters": {"tags": [1]}}, "filters.tags.0", "valid string"),
    ({"query": "x", "filters": {"tags": ["x"] * 5_000}}, "filters.tags", "at most 20 items"),
    ({"query": "x", "filters": {"tags": ["x" * 51]}}, "filters", "a tag 50"),
    ({"query": "x", "filters": {"path_prefix": "../" * 200}}, "filters", "path_prefix has at most 400"),
    ({"query": "x", "filters": {"language": "x" * 51}}, "filters.language", "at most 50"),
    ({"query": "x", "filters": {"since": "yesterday"}}, "filters.since", "valid datetime"),
    ({"query": "x", "filters": {"since": "2026-05-01T00:00:00"}}, "filters.since", "timezone"),
    ({"query": "x", "filters": {"since": JUNE, "before": MAY}}, "filters", "since has to be earlier than before"),
    ({"query": "x", "filters": {"since": MAY, "before": MAY}}, "filters", "since has to be earlier than before"),
]
FINE = ["?!...", "what is it", "\x00token\x1b", "🧪", "x" * 2000, "' OR 1=1 --", "{{7*7}}", "*"]


class Rag:
    """Answers nothing and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def search(self, request: SearchRequest) -> Message:
        self.asked.append(request.query)
        return SearchResponse(results=(), reranked=False, timings_ms={"total": 1.0}, rerank_skipped="no_results")


@pytest_asyncio.fixture
async def rag(bus: Bus) -> AsyncIterator[Rag]:
    fake = Rag()
    service = await announce(bus, "rag", "0.0.1")
    await answer(service, "search", SearchRequest, fake.search)
    yield fake
    await service.stop()


@pytest_asyncio.fixture
async def tool(app: FastAPI, client: httpx.AsyncClient) -> AsyncIterator[Callable[..., Any]]:
    """Calls an MCP tool; gives what the model is told, and whether it is an error."""
    async with (
        http_server(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=client.headers, trust_env=False) as http,
    ):

        async def called(name: str, arguments: Any) -> tuple[str, bool]:
            message = {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": name, "arguments": arguments},
            }
            reply = (await http.post("/mcp", json=message, headers=MCP)).json()
            if "error" in reply:
                return reply["error"]["message"], True
            return reply["result"]["content"][0]["text"], reply["result"]["isError"]

        yield called


async def test_search_that_cannot_be_meant_names_the_field_and_the_engine_is_not_asked(
    client: httpx.AsyncClient, rag: Rag
) -> None:
    for body, field, message in QUERIES:
        refused = await client.post(SEARCH, json=body)
        assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json"), body
        told = {error["field"]: error["message"] for error in refused.json()["errors"]}
        assert message in told[field], (body, told)
        assert SECRET not in refused.text
    for raw in (b'{"query": "\\ud800"}', b'{"query": "\xff"}', b'{"query": "x\x00"}', b'{"query": "x"}}', b""):
        torn = await client.post(SEARCH, content=raw, headers=JSON)
        assert (torn.status_code, torn.json()["type"]) == (400, "urn:worksite:problem:malformed-json"), raw
    assert rag.asked == []


async def test_odd_queries_that_can_be_meant_are_asked_as_they_are(client: httpx.AsyncClient, rag: Rag) -> None:
    assert [(await client.post(SEARCH, json={"query": query})).status_code for query in FINE] == [200] * len(FINE)
    assert rag.asked == FINE


async def test_tool_call_that_cannot_be_meant_tells_the_model_what_to_mend(tool: Callable[..., Any], rag: Rag) -> None:
    for arguments, field, message in QUERIES:
        said, is_error = await tool("search_knowledge", arguments)
        assert is_error, arguments
        assert f"\n- {field}: " in said
        assert message in said
        assert SECRET not in said
    for name, arguments, message in (
        ("search_knowledge", [], "Invalid request parameters"),
        ("search_knowledge", "x", "Invalid request parameters"),
        ("get_task", {"task_id": ["x"]}, "valid string"),
        ("get_artifact", {"task_id": "0" * 32, "name": "../../etc/passwd"}, "no such task"),
        ("get_artifact", {"task_id": "0" * 32, "name": "spec.md", "offset": -1}, "greater than or equal to 0"),
        ("get_artifact", {"task_id": "0" * 32, "name": "spec.md", "max_bytes": 10**30}, "less than or equal to"),
        ("submit_task", {"request": "x", "idempotency_key": "a\nb"}, "should match pattern"),
        ("x" * 5000, {}, "there is no such tool"),
    ):
        said, is_error = await tool(name, arguments)
        assert (is_error, message in said, len(said) < 500) == (True, True, True), (name, said)
    assert rag.asked == []
    assert (await tool("search_knowledge", {"query": "tokens"}))[1] is False


async def test_fault_of_a_tool_is_told_without_its_details(
    tool: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(search, "answered", broken)
    said, is_error = await tool("search_knowledge", {"query": "x"})
    assert is_error
    assert said.startswith("Internal error: ")
    assert SECRET not in said
    assert SECRET in caplog.text


def part(disposition: str, content: bytes = b"x") -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


def files(*names: str, content: bytes = b"x") -> bytes:
    return b"".join(part(f'name="files"; filename="{name}"', content) for name in names)


END = b"--b--\r\n"
FORMS: list[tuple[bytes, str, int, str]] = [
    (b"", MULTIPART, 400, "malformed-form"),
    (files("a.md"), MULTIPART, 400, "malformed-form"),  # cut off behind the first file
    (files("a.md", "b.md")[:-10], MULTIPART, 400, "malformed-form"),
    (files("a.md") + b"--b\r\nX: " + b"y" * 100_000 + b"\r\n\r\nx\r\n" + END, MULTIPART, 400, "malformed-form"),
    (files("a.md") + END, "multipart/form-data", 400, "malformed-form"),
    (files("a.md") + END, "multipart/form-data; boundary=" + "b" * 10_000, 400, "malformed-form"),
    (files("a.md") + END, "multipart/form-data; boundary=" + "b" * 50_000, 431, "head-too-large"),
    *[
        (files("\\ud800+2AA-.md") + END, f"{MULTIPART}; charset={charset}", 400, "malformed-form")
        for charset in ("unicode_escape", "utf-7", "punycode", "undefined", "\x00")
    ],
    (part('name="files"', b"x") + END, MULTIPART, 422, "invalid-request"),
    (part('name="folder"', b"../..") + files("a.md") + END, MULTIPART, 422, "invalid-request"),
    (part('name="tags"', b"\xff") + files("a.md") + END, MULTIPART, 422, "invalid-request"),
    (b"".join(part('name="tags"', b"x") for _ in range(25)) + files("a.md") + END, MULTIPART, 422, "invalid-request"),
    (b"".join(part('name="tags"', b"x") for _ in range(50)) + files("a.md") + END, MULTIPART, 400, "malformed-form"),
    (files("/etc/passwd") + END, MULTIPART, 422, "invalid-request"),
    (files("../../up.md") + END, MULTIPART, 422, "invalid-request"),
    (files("a\x00.md") + END, MULTIPART, 422, "invalid-request"),
    (files("a\x1b[2J.md") + END, MULTIPART, 422, "invalid-request"),
    (files("") + END, MULTIPART, 422, "invalid-request"),
    (files("n" * 401) + END, MULTIPART, 422, "invalid-request"),
    (files("a.md", content=b"\x7fELF\x00") + END, MULTIPART, 422, "invalid-request"),
    (files("a.md", content=b"caf\xe9") + END, MULTIPART, 422, "invalid-request"),
    (files("a.md", content=b" \n") + END, MULTIPART, 422, "invalid-request"),
]


async def test_form_that_cannot_be_taken_says_why_and_the_next_one_is_taken(client: httpx.AsyncClient) -> None:
    for body, media_type, status, slug in FORMS:
        refused = await client.post(DOCUMENTS, content=body, headers={"Content-Type": media_type})
        assert (refused.status_code, refused.json()["type"]) == (status, f"urn:worksite:problem:{slug}"), body[:200]
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["detail"]
        assert all(error["message"] for error in refused.json().get("errors", []))
    listed = await client.get(DOCUMENTS)
    assert listed.json()["documents"] == []
    taken = await client.post(DOCUMENTS, content=files("a.md") + END, headers={"Content-Type": MULTIPART})
    assert taken.status_code == 202


async def test_json_that_holds_no_text_is_refused_by_name_and_nothing_of_it_is_stored(
    client: httpx.AsyncClient,
) -> None:
    good = {"path": "good.md", "text": "# Good"}
    for bad, field, message in (
        (
            {"path": "a.md", "text": "\x7fELF\x00\x00"},
            "documents.1.text",
            "binary: a zero character after 4 char",
        ),
        ({"path": "a.md", "text": 7}, "documents.1.text", "valid string"),
        ({"path": "a.md", "text": None}, "documents.1.text", "valid string"),
        ({"path": "a\x00.md", "text": "x"}, "documents.1.path", "control characters"),
        ({"path": "../../a.md", "text": "x"}, "documents.1.path", "not a relative path"),
        ({"path": "a.md", "text": "x", "tags": ["t"] * 21}, "documents.1.tags", "at most 20 items"),
        ({"path": "a.md", "text": "x", "tags": ["no tag"]}, "documents.1.tags.0", "match pattern"),
        ({"path": "a.md", "text": "x", "tenant": "rival"}, "documents.1.tenant", "not permitted"),
    ):
        refused = await client.post(DOCUMENTS, json={"documents": [good, bad]})
        assert refused.status_code == 422, bad
        told = {error["field"]: error["message"] for error in refused.json()["errors"]}
        assert message in told[field], (bad, told)
    for raw in (b'"\\ud800"', b'"caf\xe9"', b'"x', b"[" * 50_000):
        body = b'{"documents": [{"path": "a.md", "text": ' + raw + b"}]}"
        torn = await client.post(DOCUMENTS, content=body, headers=JSON)
        assert (torn.status_code, torn.json()["type"]) == (400, "urn:worksite:problem:malformed-json"), raw[:20]
    assert (await client.get(DOCUMENTS)).json()["documents"] == []
    assert (await client.post(DOCUMENTS, json={"documents": [good]})).status_code == 202


@pytest.mark.parametrize("media_type", ["application/json", MULTIPART])
async def test_fifty_megabytes_are_refused_before_they_are_read(client: httpx.AsyncClient, media_type: str) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = {"Content-Type": media_type, "Content-Length": str(50 << 20)}
    refused = await client.post(DOCUMENTS, content=never(), headers=headers)
    assert (refused.status_code, refused.json()["type"]) == (413, "urn:worksite:problem:body-too-large")
    assert json.loads(refused.text)["detail"].startswith("at most ")
