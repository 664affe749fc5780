"""Whatever a client sends, it gets a problem document that says what to do, and never its own input back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from worksite.common.health import http_server
from worksite.gateway.gateway import Gateway

JSON = {"Content-Type": "application/json"}
SECRET_INPUT = "hunter2-do-not-echo"
CRITERION = {"id": "x", "statement": "s", "grade": "self_reported"}
NOT_REVIEWS = ("feature", "fix", "design", "question")
TEN_MEGABYTES = 10 * 1024 * 1024


def is_problem(answer: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """Asserts the whole form of a problem document; returns it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"] == f"urn:worksite:problem:{slug}"
    assert document["status"] == status
    assert {"title", "detail", "trace_id"} <= document.keys()
    assert SECRET_INPUT not in answer.text
    return document


@pytest.mark.asyncio
async def test_a_body_that_is_not_json_is_malformed(client: httpx.AsyncClient) -> None:
    bodies = [
        b"",
        b"{",
        b"{]",
        b"not json",
        b'{"request": "x",}',
        b"{'request': 'x'}",
        b"\xff\xfe{}",
        b'{"request": "\xff"}',
        b'{"request": "\\ud800"}',
        b"[" * 30_000,
        b'{"a":' * 10_000,
    ]
    for body in bodies:
        is_problem(await client.post("/v1/tasks", content=body, headers=JSON), 400, "malformed-json")


@pytest.mark.asyncio
async def test_json_that_does_not_fit_names_the_field(client: httpx.AsyncClient, admin: Any) -> None:
    cases: list[tuple[Any, str]] = [
        ({}, "request"),
        ([], ""),
        ("x", ""),
        ({"request": 1}, "request"),
        ({"request": None}, "request"),
        ({"request": ["x"]}, "request"),
        ({"request": ""}, "request"),
        ({"request": "   "}, "request"),
        ({"request": "x" * 12_001}, "request"),
        ({"request": "ü" * 6_001}, "request"),
        ({"request": "x", "surprise": SECRET_INPUT}, "surprise"),
        ({"request": "x", "route": SECRET_INPUT}, "route"),
        ({"request": "x", "project": "name"}, "project"),
        ({"request": "x", "project": {"kind": "new"}}, "project.kind"),
        ({"request": "x", "project": {"name": "../etc"}}, "project.name"),
        ({"request": "x", "project": {"name": SECRET_INPUT + "/"}}, "project.name"),
        ({"request": "x", "project": {"name": "a", "git_url": "https://git.example/x"}}, "project"),
        ({"request": "x", "project": {"ref": "main"}}, "project"),
        ({"request": "x", "project": {"git_url": "--upload-pack=evil"}}, "project.git_url"),
        ({"request": "x", "project": {"git_url": "ext::sh -c evil"}}, "project.git_url"),
        ({"request": "x", "project": {"git_url": "https://git.example/x", "ref": "-x"}}, "project.ref"),
        ({"request": "x", "project": {"git_url": "https://git.example/x", "ref": "a..b"}}, "project.ref"),
        ({"request": "x", "project": {"git_url": f"https://bob:{SECRET_INPUT}@git.example/x"}}, "project.git_url"),
        ({"request": "x", "project": {"git_url": f"https://git.example/x?token={SECRET_INPUT}"}}, "project.git_url"),
        ({"request": "x", "project": {"git_url": f"ssh://{SECRET_INPUT}@git.example/x"}}, "project.git_url"),
        ({"request": "x", "project": {"name": "a.lock"}}, "project.name"),
        ({"request": "a\x01b"}, "request"),
        ({"request": '"' * 6_001}, "request"),
        ({"request": "x", "options": {"criteria": [CRITERION | {"test": "t" * 35_000}]}}, "options.criteria.0.test"),
        ({"request": "x", "options": {"criteria": [CRITERION | {"statement": "😀" * 500}] * 20}}, "options.criteria"),
        *[({"request": "x", "route": r, "options": {"base": "main"}}, "options") for r in NOT_REVIEWS],
        *[({"request": "x", "route": r, "options": {"criteria": [CRITERION]}}, "options") for r in NOT_REVIEWS],
        ({"request": "x", "options": {"max_rounds": "2"}}, "options.max_rounds"),
        ({"request": "x", "options": {"max_rounds": 4}}, "options.max_rounds"),
        ({"request": "x", "options": {"max_rounds": True}}, "options.max_rounds"),
        ({"request": "x", "options": {"budget": SECRET_INPUT}}, "options.budget"),
        ({"request": "x", "tenant": "beta"}, "tenant"),
        ({"request": "x", "task": "0" * 32}, "task"),
    ]
    for body, field in cases:
        problem = is_problem(await client.post("/v1/tasks", json=body), 422, "invalid-request")
        assert field in {error["field"] for error in problem["errors"]}, (body, problem)
        assert all(error["message"] for error in problem["errors"])
    for raw in [b"null", b'{"request": NaN}', b'{"request": "x", "options": {"deadline_seconds": 1e400}}']:
        is_problem(await client.post("/v1/tasks", content=raw, headers=JSON), 422, "invalid-request")
    assert await admin.submitted() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            f"ssh://git@git.example/{SECRET_INPUT}",
            "SSH is not spoken here: .* with https://, http://, git:// or file://",
        ),
        (f"git@git.example:{SECRET_INPUT}.git", "SSH is not spoken here"),
        (f"git.example/{SECRET_INPUT}", "has to begin with https://, http://, git:// or file://"),
        (f"https://git.example/x?token={SECRET_INPUT}", "leave out what follows"),
        (f"https://bob:{SECRET_INPUT}@git.example/x", "without user and password"),
    ],
)
async def test_an_address_that_is_not_taken_is_refused_with_those_that_are(
    client: httpx.AsyncClient, url: str, said: str
) -> None:
    push = {"project": {"git_url": "https://git.example/x"}, "options": {"deliver": {"push": {"url": url}}}}
    for body in ({"project": {"git_url": url}}, push):
        answer = await client.post("/v1/tasks", json={"request": "x", **body})

        (error,) = is_problem(answer, 422, "invalid-request")["errors"]
        assert re.search(said, error["message"])
        assert SECRET_INPUT not in answer.text


@pytest.mark.asyncio
@pytest.mark.parametrize("route", ["review", None])
async def test_base_and_criteria_are_taken_where_they_can_be_honoured(
    client: httpx.AsyncClient, route: str | None
) -> None:
    options = {"base": "main", "criteria": [CRITERION]}

    answer = await client.post("/v1/tasks", json={"request": "x", "route": route, "options": options})

    assert answer.status_code == 202


@pytest.mark.asyncio
async def test_search_and_cancel_check_their_bodies_too(client: httpx.AsyncClient, submit: Callable[..., Any]) -> None:
    cancel = f"/v1/tasks/{await submit()}/cancel"
    cases: list[tuple[str, Any, str]] = [
        ("/v1/search", {}, "query"),
        ("/v1/search", {"query": ""}, "query"),
        ("/v1/search", {"query": "x", "top_k": "5"}, "top_k"),
        ("/v1/search", {"query": "x", "top_k": 101}, "top_k"),
        ("/v1/search", {"query": "x", "mode": "magic"}, "mode"),
        ("/v1/search", {"query": "x", "tenant": "beta"}, "tenant"),
        ("/v1/search", {"query": "x", "filters": {"owner": "x"}}, "filters.owner"),
        (cancel, {"reason": 1}, "reason"),
        (cancel, {"reason": "x" * 501}, "reason"),
        (cancel, {"reason": "\x1b[2J"}, "reason"),
        (cancel, {"force": True}, "force"),
    ]
    for path, body, field in cases:
        problem = is_problem(await client.post(path, json=body), 422, "invalid-request")
        assert field in {error["field"] for error in problem["errors"]}
    is_problem(await client.post(cancel, content=b"{", headers=JSON), 400, "malformed-json")


@pytest.mark.asyncio
async def test_query_parameters_are_checked(client: httpx.AsyncClient) -> None:
    for limit in ["0", "201", "-1", "x", "", "1.5"]:
        problem = is_problem(await client.get("/v1/tasks", params={"limit": limit}), 422, "invalid-request")
        assert [error["field"] for error in problem["errors"]] == ["limit"]


@pytest.mark.asyncio
async def test_only_json_is_taken(client: httpx.AsyncClient) -> None:
    body = b'{"request": "x"}'
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/form-data; boundary=x",
    ]:
        answer = await client.post("/v1/tasks", content=body, headers={"Content-Type": kind})
        is_problem(answer, 415, "unsupported-media-type")
    is_problem(await client.post("/v1/tasks", content=body), 415, "unsupported-media-type")

    charset = await client.post("/v1/tasks", content=body, headers={"Content-Type": "Application/JSON; charset=utf-8"})

    assert charset.status_code == 202


@pytest.mark.asyncio
async def test_unknown_paths_and_methods_are_problems_too(client: httpx.AsyncClient) -> None:
    for path in ["/", "/v1", "/v2/tasks", "/v1/tasks/", "/v1/tasks/x/y/z", "/docs", "/oauth/tokens"]:
        is_problem(await client.get(path), 404, "not-found")
    for method, path, allowed in [("DELETE", "/v1/tasks", {"GET", "POST"}), ("GET", "/v1/search", {"POST"})]:
        answer = await client.request(method, path)
        is_problem(answer, 405, "method-not-allowed")
        assert set(answer.headers["allow"].replace(" ", "").split(",")) <= allowed


@pytest.mark.asyncio
async def test_an_idempotency_key_that_cannot_be_one_is_malformed(client: httpx.AsyncClient, admin: Any) -> None:
    for key in [b"", b"x" * 256, b"\xc3\xbc", b"a\tb"]:
        answer = await client.post("/v1/tasks", json={"request": "x"}, headers={"Idempotency-Key": key})
        is_problem(answer, 400, "malformed-idempotency-key")
    assert await admin.submitted() == []


@pytest.mark.asyncio
async def test_a_declared_ten_megabyte_body_is_refused_unread(client: httpx.AsyncClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = JSON | {"Content-Length": str(TEN_MEGABYTES)}
    is_problem(await client.post("/v1/tasks", content=never(), headers=headers), 413, "body-too-large")


@pytest.mark.asyncio
async def test_a_chunked_ten_megabyte_body_is_refused_as_soon_as_it_is_too_long(client: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(TEN_MEGABYTES // 8192):
            sent += 8192
            yield b" " * 8192

    is_problem(await client.post("/v1/tasks", content=chunks(), headers=JSON), 413, "body-too-large")
    assert sent < 128 * 1024


@pytest.mark.asyncio
async def test_a_ten_megabyte_body_over_tcp_gets_its_answer(app: FastAPI, client: httpx.AsyncClient) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(TEN_MEGABYTES // 65536):
            yield b" " * 65536

    async with (
        http_server(app, "127.0.0.1", 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", headers=client.headers, trust_env=False) as over_tcp,
    ):
        whole = await over_tcp.post("/v1/tasks", content=b" " * TEN_MEGABYTES, headers=JSON)
        chunked = await over_tcp.post("/v1/tasks", content=chunks(), headers=JSON)

    is_problem(whole, 413, "body-too-large")
    is_problem(chunked, 413, "body-too-large")


@pytest.mark.asyncio
async def test_a_fault_of_the_gateway_is_a_problem_without_details(
    app: FastAPI, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken:
        async def page(self, tenant: str, query: object) -> None:
            raise RuntimeError(SECRET_INPUT)

    parts: Gateway = app.state.gateway
    object.__setattr__(parts, "tasks", Broken())

    is_problem(await client.get("/v1/tasks"), 500, "internal")

    assert SECRET_INPUT in caplog.text


@pytest.mark.asyncio
async def test_a_problem_carries_the_clients_trace_id(client: httpx.AsyncClient) -> None:
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    trace_id = "0af7651916cd43dd8448eb211c80319c"

    answer = await client.get("/nowhere", headers={"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})

    assert is_problem(answer, 404, "not-found")["trace_id"] == trace_id
