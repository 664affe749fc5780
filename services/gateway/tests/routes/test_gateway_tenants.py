"""No tenant reaches another's things, on no route: the routes are those of the interface's own document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Envelope, announce, answer
from worksite.common.messages import (
    Approval,
    DeadLetter,
    ExplainRoute,
    Message,
    RedriveLetter,
    RedriveOutcome,
    RouteExplained,
    SearchRequest,
    SearchResponse,
)
from worksite.common.testing.examples import all_messages
from worksite.gateway import openapi
from worksite.gateway.domain.principal import ROLES

pytestmark = pytest.mark.asyncio
Mint = Callable[..., str]
DIGEST = "ab" * 32
EXPLAINED = next(message for message in all_messages() if isinstance(message, RouteExplained))
DEAD = next(message for message in all_messages() if isinstance(message, DeadLetter))
BUNDLE = b"# v2 git bundle\nacme's\n"
BUNDLE_TYPE = {"Content-Type": "application/x-git-bundle"}
BODIES: dict[str, dict[str, Any]] = {
    "giveInput": {"text": "yes"},
    "approveTask": {"gate": "design", "approved": True, "digest": DIGEST},
}


class Route(NamedTuple):
    operation: str
    method: str
    path: str


def routes(*, named: bool) -> list[Route]:
    """Those that want a token, with or without something named in the path."""
    paths = json.loads(openapi.document())["paths"]
    found = [Route(d["operationId"], m, p) for p, ops in paths.items() for m, d in ops.items() if "security" in d]
    return [route for route in found if ("{" in route.path) is named]


NAMED, UNNAMED = routes(named=True), routes(named=False)


class Others:
    """Rag and admin, who note for which tenant they are asked."""

    def __init__(self) -> None:
        self.asked_for: list[str] = []

    async def search(self, question: SearchRequest) -> Message:
        self.asked_for.append(question.tenant)
        return SearchResponse(results=(), reranked=False, timings_ms={"total": 1.0})

    async def explain(self, question: ExplainRoute) -> Message:
        self.asked_for.append(question.tenant)
        return EXPLAINED

    async def redrive(self, question: RedriveLetter) -> Message:
        self.asked_for.append(question.tenant)
        return RedriveOutcome(redriven=True)


@pytest_asyncio.fixture
async def others(bus: Bus) -> AsyncIterator[Others]:
    played = Others()
    rag, admin = await announce(bus, "rag", "0.0.1"), await announce(bus, "admin", "0.0.1")
    await answer(rag, "search", SearchRequest, played.search)
    await answer(admin, "explain", ExplainRoute, played.explain)
    await answer(admin, "redrive", RedriveLetter, played.redrive)
    yield played
    await rag.stop()
    await admin.stop()


@pytest.fixture
def as_tenant(mint: Mint) -> Callable[[str], dict[str, str]]:
    """Somebody of a tenant with every role there is."""
    return lambda tenant: {"Authorization": f"Bearer {mint(sub='all', tenant=tenant, roles=sorted(ROLES))}"}


@pytest_asyncio.fixture
async def belongings(client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus) -> dict[str, Any]:
    """What acme has, by the operation that could reach it."""
    queued, asking, gated, ended = [await submit() for _ in range(4)]
    question = Approval(gate="design", digest=DIGEST, expires_at=datetime.now(UTC) + timedelta(days=1))
    await admin.advance(asking, "needs_input", reason="Which?")
    await admin.advance(gated, "needs_input", approval=question, reason="Waits.")
    ref = await Artifacts(bus).put(b"# x", "text/markdown")
    spec = {"spec": ref, "document": ref, "title": "x", "engine": "x", "criteria": 1}
    await admin.advance(ended, "completed", spec=spec)
    sent = await client.post("/v1/knowledge/documents", json={"documents": [{"path": "a.md", "text": "acme's"}]})
    upload = (await client.post("/v1/uploads", content=BUNDLE, headers=BUNDLE_TYPE)).json()["id"]
    envelope = Envelope(DEAD.ce_type(), "builder", "acme", queued)
    number = await bus.publish(subjects.dead_subject("builder", "acme"), DEAD, envelope)
    tasks = {"cancelTask": queued, "giveInput": asking, "approveTask": gated}
    return {
        "task_id": lambda operation: tasks.get(operation, ended),
        "name": lambda _: "spec.md",
        "document_id": lambda _: sent.json()["documents"][0]["id"],
        "upload_id": lambda _: upload,
        "sequence": lambda _: str(number),
        "all": (queued, asking, gated, ended, upload, sent.json()["documents"][0]["id"]),
        "upload": upload,
    }


async def call(
    client: httpx.AsyncClient, route: Route, belongings: dict[str, Any], headers: dict[str, str]
) -> httpx.Response:
    """A parameter that nobody here knows fails the test: say how it is filled."""
    names = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    path = route.path.format(**{name: belongings[name](route.operation) for name in names})
    body = BODIES.get(route.operation)
    query = {"follow": "false"} if route.operation == "readEvents" else None
    return await client.request(route.method, path, json=body, params=query, headers=headers)


async def written(bus: Bus) -> dict[str, int]:
    """How much each stream and bucket has been written to."""
    return {name: (await bus.jetstream.stream_info(name)).state.last_seq for name in subjects.STORES if name != "RATE"}


@pytest.mark.parametrize("route", NAMED, ids=lambda route: route.operation)
async def test_another_tenants_thing_is_not_found_and_nothing_happens_to_it(
    client: httpx.AsyncClient,
    belongings: dict[str, Any],
    others: Others,
    bus: Bus,
    as_tenant: Callable[[str], dict[str, str]],
    route: Route,
) -> None:
    before = await written(bus)

    foreign = await call(client, route, belongings, as_tenant("beta"))

    assert (foreign.status_code, foreign.json()["type"]) == (404, "urn:worksite:problem:not-found")
    assert await written(bus) == before
    assert others.asked_for == []
    own = await call(client, route, belongings, as_tenant("acme"))  # else the above would say nothing
    assert own.is_success, own.text


async def test_no_list_and_no_sum_shows_anything_of_another_tenant(
    client: httpx.AsyncClient, belongings: dict[str, Any], as_tenant: Callable[[str], dict[str, str]]
) -> None:
    lists = [route for route in UNNAMED if route.method == "get"]
    for route in lists:
        own = await client.get(route.path, headers=as_tenant("acme"), params={"limit": "1"})
        following = (own.json().get("next") or "").strip()
        for query in ({}, {"cursor": following} if following else {}):
            seen = await client.get(route.path, headers=as_tenant("beta"), params=query)
            assert seen.status_code == 200, seen.text
            assert not [one for one in belongings["all"] if one in seen.text], route
            assert not any(bool(value) for value in seen.json().values() if isinstance(value, list)), route

    assert {route.operation for route in lists} >= {"listTasks", "listDocuments", "listDeadLetters", "readStats"}


async def test_what_is_named_in_a_body_or_a_header_is_looked_for_with_the_caller(
    client: httpx.AsyncClient,
    belongings: dict[str, Any],
    others: Others,
    as_tenant: Callable[[str], dict[str, str]],
    admin: Any,
) -> None:
    own, foreign = as_tenant("acme"), as_tenant("beta")

    async def post(path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        return await client.post(path, headers=headers, **body)

    async def submits(headers: dict[str, str]) -> None:
        named = {"request": "x", "project": {"upload": belongings["upload"]}}
        assert (await post("/v1/tasks", headers, json=named)).status_code == (202 if headers == own else 422)
        mine, theirs = [
            (await post("/v1/tasks", who | {"Idempotency-Key": "k"}, json={"request": "x"})).json()["id"]
            for who in (own, headers)
        ]
        assert (mine == theirs) is (headers == own)

    async def asks(headers: dict[str, str]) -> None:
        await post("/v1/search", headers, json={"query": "x"})
        await post("/v1/route/explain", headers, json={"request": "x"})
        assert set(others.asked_for) == {"acme" if headers == own else "beta"}
        others.asked_for.clear()

    async def sends(headers: dict[str, str]) -> None:
        await post("/v1/knowledge/documents", headers, json={"documents": [{"path": "a.md", "text": "beta's"}]})

    async def uploads(headers: dict[str, str]) -> None:
        assert (await post("/v1/uploads", headers | BUNDLE_TYPE, content=BUNDLE)).status_code == 201

    document = await call(
        client, Route("readDocument", "get", "/v1/knowledge/documents/{document_id}"), belongings, own
    )
    done = {
        "submitTask": submits,
        "search": asks,
        "explainRoute": asks,
        "submitDocuments": sends,
        "createUpload": uploads,
    }

    for operation in (route.operation for route in UNNAMED if route.method != "get"):
        await done[operation](foreign)  # one that nobody here knows fails: say what it names
    await submits(own)
    await asks(own)

    again = await call(client, Route("readDocument", "get", "/v1/knowledge/documents/{document_id}"), belongings, own)
    assert again.json() == document.json()
    assert {command.tenant for command, _ in await admin.submitted("beta")} == {"beta"}


async def test_every_route_under_v1_wants_a_token() -> None:
    paths = json.loads(openapi.document())["paths"]

    assert [
        p for p, ops in paths.items() if p.startswith("/v1/") and not all("security" in o for o in ops.values())
    ] == []
    assert len(NAMED) > 10
