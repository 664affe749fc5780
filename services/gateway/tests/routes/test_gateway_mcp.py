"""/mcp, asked by the official client over a real socket, with a real nats-server behind it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import httpx
import httpx2
import pytest
import pytest_asyncio
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from pydantic import SecretStr
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, announce, answer
from worksite.common.health import Health, http_server
from worksite.common.messages import (
    AuditRecord,
    Changeset,
    Message,
    Scores,
    SearchRequest,
    SearchResponse,
    SearchResult,
)
from worksite.gateway.app import create_app
from worksite.gateway.gateway import Gateway
from worksite.gateway.main import built
from worksite.gateway.settings import GatewaySettings

Mint = Callable[..., str]
Connect = Callable[..., contextlib.AbstractAsyncContextManager[Client]]
HIT = SearchResult(
    path="docs/auth.md",
    start_line=3,
    end_line=9,
    text="Tokens rotate.",
    score=0.9,
    scores=Scores(dense=0.8, sparse=0.7, rerank=0.9),
    kind="document",
    heading="Auth",
)
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}
ACCEPT = {"Accept": "application/json, text/event-stream"}


@contextlib.asynccontextmanager
async def serving(gateway: Gateway, settings: GatewaySettings) -> AsyncGenerator[str]:
    app = create_app(gateway, Health(), settings)
    async with http_server(app, "127.0.0.1", settings.dashboard_port) as port:
        yield f"http://127.0.0.1:{port}"


@pytest_asyncio.fixture
async def url(gateway: Gateway, settings: GatewaySettings) -> AsyncIterator[str]:
    """A gateway on a free port."""
    async with serving(gateway, settings.model_copy(update={"dashboard_port": 0})) as url:
        yield url


@contextlib.asynccontextmanager
async def connected(url: str, token: str, mode: Any = "auto") -> AsyncGenerator[Client]:
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=30, trust_env=False) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


@pytest.fixture
def connect(url: str, mint: Mint) -> Connect:
    """The official client, as a developer of the tenant acme unless a token is given."""

    def connecting(token: str | None = None, mode: str = "auto") -> contextlib.AbstractAsyncContextManager[Client]:
        return connected(url, token or mint(), mode)

    return connecting


class Rag:
    """Answers every search with one hit and remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[SearchRequest] = []

    async def search(self, request: SearchRequest) -> Message:
        self.asked.append(request)
        return SearchResponse(results=(HIT,), reranked=True, timings_ms={"total": 1.5})


@pytest_asyncio.fixture
async def rag(bus: Bus) -> AsyncIterator[Rag]:
    fake = Rag()
    service = await announce(bus, "rag", "0.0.1")
    await answer(service, "search", SearchRequest, fake.search)
    yield fake
    await service.stop()


async def call(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a call gives; fails when it is an error. The client checks it against the tool's output schema."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


async def refusal(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return result.content[0].text


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["legacy", "auto", "2026-07-28"])
async def test_the_official_client_finds_four_tools_with_typed_inputs_and_outputs(connect: Connect, mode: str) -> None:
    async with connect(mode=mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}

    assert set(tools) == {"search_knowledge", "submit_task", "get_task", "get_artifact"}
    assert tools["search_knowledge"].input_schema["required"] == ["query"]
    assert tools["search_knowledge"].input_schema["additionalProperties"] is False
    assert "results" in tools["search_knowledge"].output_schema["properties"]
    assert {name for name, tool in tools.items() if not tool.annotations.read_only_hint} == {"submit_task"}


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_search_is_asked_in_the_name_of_the_tokens_tenant(connect: Connect, rag: Rag, mode: str) -> None:
    async with connect(mode=mode) as client:
        found = await call(
            client, "search_knowledge", query="rotate tokens", top_k=3, filters={"since": "2026-05-01T00:00:00Z"}
        )

    assert [hit["citation"] for hit in found["results"]] == ["docs/auth.md:3-9"]
    [asked] = rag.asked
    assert (asked.tenant, asked.query, asked.top_k) == ("acme", "rotate tokens", 3)


@pytest.mark.asyncio
async def test_a_task_is_submitted_followed_and_its_artifacts_fetched(connect: Connect, admin: Any) -> None:
    async with connect() as client:
        task = await call(client, "submit_task", request="Create auth system", project={"name": "auth"})
        before = await call(client, "get_task", task_id=task["id"])
        await admin.advance(task["id"])
        after = await call(client, "get_task", task_id=task["id"])
        cost = await call(client, "get_artifact", task_id=task["id"], name="cost.json")

    [(submitted, _)] = await admin.submitted()
    assert (submitted.task, submitted.principal, submitted.project.name) == (task["id"], "ada", "auth")
    assert (before["status"], after["status"], after["artifacts"]) == ("queued", "running", ["cost.json"])
    assert json.loads(cost["content"])["total_usd"] == 0.25
    assert (cost["encoding"], cost["next_offset"], cost["size"]) == ("utf-8", None, len(cost["content"]))


@pytest.mark.asyncio
async def test_the_same_key_is_the_same_task_and_another_body_under_it_is_refused(connect: Connect, admin: Any) -> None:
    async with connect() as client:
        first = await call(client, "submit_task", request="Create auth system", idempotency_key="once")
        again = await call(client, "submit_task", request="Create auth system", idempotency_key="once")
        said = await refusal(client, "submit_task", request="Create billing", idempotency_key="once")

    assert first["id"] == again["id"]
    assert len(await admin.submitted()) == 1
    assert "used for a different body" in said


@pytest.mark.asyncio
async def test_the_parts_of_a_large_artifact_are_the_whole(connect: Connect, admin: Any, bus: Bus) -> None:
    stored = Artifacts(bus)
    data = bytes(range(256)) * 1000
    bundle = await stored.put(data, "application/x-git-bundle")
    archive = await stored.put(b"zip", "application/zip")
    made = Changeset(
        base_sha="a" * 40,
        head_sha="b" * 40,
        branch="worksite/x",
        bundle=bundle,
        archive=archive,
        summary="made",
        engine="blueprint:auth@1",
        files_changed=1,
    )
    parts: list[dict[str, Any]] = []
    async with connect() as client:
        task = (await call(client, "submit_task", request="Create auth system"))["id"]
        await admin.advance(task, changeset=made)
        offset: int | None = 0
        while offset is not None:
            asked = {"task_id": task, "name": "branch.bundle", "offset": offset, "max_bytes": 100_000}
            parts.append(await call(client, "get_artifact", **asked))
            offset = parts[-1]["next_offset"]

    assert b"".join(base64.b64decode(part["content"]) for part in parts) == data
    assert [part["offset"] for part in parts] == [0, 100_000, 200_000]
    assert {(part["size"], part["sha256"], part["encoding"]) for part in parts} == {
        (len(data), bundle.sha256, "base64")
    }
    assert parts[0]["link"] == f"/v1/tasks/{task}/artifacts/branch.bundle"


@pytest.mark.asyncio
async def test_an_error_says_what_to_mend_and_never_repeats_the_input(connect: Connect, submit: Any) -> None:
    task = await submit()
    async with connect() as client:
        strange = await refusal(client, "search_knowledge", query="x", secret_word=1)
        wrong = await refusal(client, "search_knowledge", query="x", top_k="hunter2")
        unknown = await refusal(client, "get_task", task_id="0" * 32)
        malformed = await refusal(client, "get_task", task_id="last")
        absent = await refusal(client, "get_artifact", task_id=task, name="spec.md")
        away = await refusal(client, "search_knowledge", query="x")
        with pytest.raises(MCPError, match="there is no such tool"):
            await client.call_tool("drop_tables", {})

    assert strange == "Invalid request: does not fit: secret_word\n- secret_word: Extra inputs are not permitted"
    assert "top_k: Input should be a valid integer" in wrong
    assert "hunter2" not in wrong
    assert unknown == "Not found: there is no such task"
    assert "task_id: String should match pattern" in malformed
    assert "get_task names those it has" in absent
    assert away == "Unavailable: a service that this needs does not answer; try again"


@pytest.mark.asyncio
async def test_another_tenants_task_is_as_unknown_as_one_that_never_was(
    connect: Connect, submit: Any, mint: Mint
) -> None:
    task = await submit()
    async with connect(mint(tenant="rival")) as client:
        assert await refusal(client, "get_task", task_id=task) == "Not found: there is no such task"
        said = await refusal(client, "get_artifact", task_id=task, name="cost.json")

    assert said == "Not found: there is no such task"


@pytest.mark.asyncio
async def test_the_policies_decide_and_a_denial_goes_on_record(connect: Connect, mint: Mint, bus: Bus) -> None:
    async with connect(mint(roles=["viewer"], sub="eve")) as client:
        said = await refusal(client, "submit_task", request="Create auth system")

    [stored] = await bus.read("AUDIT", subjects.audit_subject("acme", "denied"), 0)
    record = AuditRecord.consume(stored.data)
    assert said == "Forbidden: your roles do not allow submitTask"
    assert (record.principal, record.action, record.resource) == ("eve", "submitTask", "Tenant::acme")


@pytest.mark.asyncio
async def test_tool_calls_share_the_rate_limit_of_the_http_routes(
    bus: Bus, settings: GatewaySettings, mint: Mint, rag: Rag
) -> None:
    slow = settings.model_copy(update={"dashboard_port": 0, "rate_per_principal": 0.001, "burst_per_principal": 14})
    search = {"name": "search_knowledge", "arguments": {"query": "x"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": search}
    headers = ACCEPT | {"Authorization": f"Bearer {mint()}", "MCP-Protocol-Version": "2025-06-18"}
    async with (
        built(slow, bus, asyncio.Event()) as gateway,
        serving(gateway, slow) as url,
        httpx.AsyncClient(base_url=url, headers=headers) as http,
    ):
        results = [(await http.post("/mcp", json=message)).json()["result"] for _ in range(3)]  # 6, 6 and 1
        spent = await http.get("/v1/tasks")
        refused = await http.post("/mcp", json=INITIALIZE)

    assert [result["isError"] for result in results] == [False, False, True]
    said = results[-1]["content"][0]["text"]
    assert said.startswith("Too many requests: too many requests for this principal; try again in")
    assert spent.status_code == 200
    assert (refused.status_code, refused.headers["ratelimit"].split(";")[1]) == (429, "r=0")
    assert len(rag.asked) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("token", [None, "not.a.token"])
async def test_without_a_good_token_nothing_is_answered_but_the_challenge(url: str, token: str | None) -> None:
    headers = ACCEPT | ({"Authorization": f"Bearer {token}"} if token else {})
    async with httpx.AsyncClient(base_url=url) as http:
        refused = await http.post("/mcp", json=INITIALIZE, headers=headers)
        nowhere = await http.get("/.well-known/oauth-protected-resource/mcp")

    assert refused.status_code == 401
    challenge = refused.headers["www-authenticate"]
    assert challenge.startswith('Bearer realm="worksite"')
    assert ('error="invalid_token"' in challenge) == (token is not None)
    assert "resource_metadata" not in challenge  # the issuer's name is no URL: there is nowhere to point to
    assert nowhere.status_code == 404


@pytest.mark.asyncio
async def test_a_client_that_knows_only_the_address_and_its_credentials_finds_the_way_to_a_token(
    bus: Bus, settings: GatewaySettings
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    issuer, digest = f"http://127.0.0.1:{port}", hashlib.sha256(b"secret").hexdigest()
    known = [{"client_id": "ci", "secret_sha256": digest, "tenants": ["acme"], "roles": ["developer"]}]
    own = settings.model_copy(
        update={"jwt_issuer": issuer, "dashboard_port": port, "issuer_clients": SecretStr(json.dumps(known))}
    )
    async with built(own, bus, asyncio.Event()) as gateway, serving(gateway, own) as url, httpx.AsyncClient() as http:
        challenge = (await http.post(f"{url}/mcp", json=INITIALIZE, headers=ACCEPT)).headers["www-authenticate"]
        [metadata] = re.findall(r'resource_metadata="([^"]+)"', challenge)
        resource = (await http.get(metadata)).json()
        server = (
            await http.get(f"{resource['authorization_servers'][0]}/.well-known/oauth-authorization-server")
        ).json()
        wanted = {"grant_type": "client_credentials", "resource": resource["resource"]}
        token = (await http.post(server["token_endpoint"], data=wanted, auth=("ci", "secret"))).json()["access_token"]
        async with connected(url, token) as client:
            task = await call(client, "submit_task", request="Create auth system")

    assert (resource["resource"], server["issuer"], task["status"]) == (f"{issuer}/mcp", issuer, "queued")


@pytest.mark.asyncio
async def test_web_pages_are_refused_unless_their_origin_is_allowed(
    gateway: Gateway, settings: GatewaySettings, mint: Mint
) -> None:
    """A page that was led here by DNS rebinding sends its own origin, and the same name as the host."""
    open_to = settings.model_copy(update={"dashboard_port": 0, "mcp_allowed_origins": "https://desk.example"})
    headers = ACCEPT | {"Authorization": f"Bearer {mint()}"}
    async with serving(gateway, open_to) as url, httpx.AsyncClient(base_url=url, headers=headers) as http:
        answers = [
            await http.post("/mcp", json=INITIALIZE, headers=origin)
            for origin in (
                {"Origin": "http://evil.example:8000", "Host": "evil.example:8000"},
                {"Origin": "null"},
                {"Origin": ""},
                {"Origin": "https://desk.example"},
                {},
            )
        ]

    assert [one.status_code for one in answers] == [403, 403, 403, 200, 200]
    assert answers[0].json()["type"] == "urn:worksite:problem:foreign-origin"


@pytest.mark.asyncio
async def test_bad_messages_are_refused_and_the_gateway_goes_on(
    url: str, mint: Mint, settings: GatewaySettings
) -> None:
    headers = ACCEPT | {"Authorization": f"Bearer {mint()}", "Content-Type": "application/json"}

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(settings.max_body_bytes // 1024 + 1):
            yield b"x" * 1024

    async with httpx.AsyncClient(base_url=url, headers=headers) as http:
        large = await http.post("/mcp", content=b"x" * (settings.max_body_bytes + 1))
        streamed = await http.post("/mcp", content=chunks())
        stream, end = await http.get("/mcp"), await http.delete("/mcp")
        torn = await http.post("/mcp", content=b'{"jsonrpc": ')
        deep = await http.post("/mcp", content=b"[" * 20_000)
        empty = await http.post("/mcp", content=b"")
        form = await http.post("/mcp", content=b"x=1", headers={"Content-Type": "text/plain"})
        after = await http.post("/mcp", json=INITIALIZE)

    assert [one.status_code for one in (large, streamed)] == [413, 413]
    assert large.json()["type"] == "urn:worksite:problem:body-too-large"
    assert [(one.status_code, one.headers["allow"]) for one in (stream, end)] == [(405, "POST"), (405, "POST")]
    assert [one.status_code for one in (torn, deep, empty, form)] == [400, 400, 400, 400]
    assert after.json()["result"]["serverInfo"]["name"] == "worksite"
    assert "mcp-session-id" not in after.headers
