"""/v1/knowledge/documents: what is stored, what the RAG engine is told, and what a client sees of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import QueueFull
from worksite.common.health import Health
from worksite.common.messages import AuditRecord, DocumentEntry, DocumentText, IndexDocuments, document_id
from worksite.common.testing import NatsServer
from worksite.gateway import knowledge as stored
from worksite.gateway.app import create_app
from worksite.gateway.gateway import Gateway
from worksite.gateway.places import Places
from worksite.gateway.routes import knowledge
from worksite.gateway.settings import GatewaySettings

Mint = Callable[..., str]
PATH = "/v1/knowledge/documents"
ABSENT = "0" * 32
LOGIN = {"path": "notes/login.md", "text": "# Login\nTokens rotate.", "tags": ["auth"]}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


class Rag:
    """Plays the RAG engine: what it was told, what it finds, what it writes."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.rows = KeyValue(bus, subjects.DOCUMENTS)

    async def told(self, tenant: str = "acme") -> list[IndexDocuments]:
        found = await self.bus.read("WORK", subjects.work_subject("rag", tenant), 0)
        return [IndexDocuments.consume(message.data) for message in found]

    async def row(self, document: str, tenant: str = "acme") -> DocumentEntry:
        found = await self.rows.get(f"{tenant}.{document}")
        assert found is not None
        return DocumentEntry.consume(found.value)

    async def text(self, document: str) -> DocumentText:
        row = await self.row(document)
        return DocumentText.consume(await Artifacts(self.bus, store=subjects.KNOWLEDGE).get(row.text))

    async def write(self, document: str, **changed: Any) -> None:
        found = await self.rows.get(f"acme.{document}")
        assert found is not None
        entry = DocumentEntry.consume(found.value).model_copy(update=changed)
        await self.rows.update(f"acme.{document}", entry.to_json(), found.revision)


@pytest.fixture
def rag(bus: Bus) -> Rag:
    return Rag(bus)


async def sent(client: httpx.AsyncClient, *documents: dict[str, Any], **options: Any) -> httpx.Response:
    return await client.post(PATH, json={"documents": documents}, **options)


def some(count: int) -> list[dict[str, Any]]:
    return [{"path": f"docs/{n:03}.md", "text": f"# {n}"} for n in range(count)]


async def pages(client: httpx.AsyncClient, **query: Any) -> list[list[str]]:
    """The paths on each page, by the header's links."""
    found, url = list[list[str]](), str(httpx.URL(PATH, params=query))
    while url:
        answer = await client.get(url)
        found.append([document["path"] for document in answer.json()["documents"]])
        assert (answer.json()["next"] is None) == ("next" not in answer.links)
        url = answer.links.get("next", {}).get("url", "")
    return found


@pytest.mark.asyncio
async def test_a_document_is_stored_and_the_engine_told_before_the_answer(client: httpx.AsyncClient, rag: Rag) -> None:
    answer = await sent(client, LOGIN)

    assert answer.status_code == 202
    [view] = answer.json()["documents"]
    assert (view["id"], view["path"], view["state"]) == (document_id(LOGIN["path"]), LOGIN["path"], "queued")
    assert (await client.get(view["links"]["self"])).json() == view
    row, text = await rag.row(view["id"]), await rag.text(view["id"])
    assert (row.state, row.tags, row.tenant) == ("queued", ("auth",), "acme")
    assert (text.text, text.path, text.tenant, text.submitted_at) == (LOGIN["text"], row.path, "acme", row.submitted_at)
    assert await rag.told() == [IndexDocuments(tenant="acme", documents=(view["id"],))]


@pytest.mark.asyncio
async def test_many_documents_are_told_of_in_one_message(client: httpx.AsyncClient, rag: Rag) -> None:
    answer = await sent(client, *some(60))

    ids = [view["id"] for view in answer.json()["documents"]]
    assert ids == [document_id(document["path"]) for document in some(60)]
    assert await rag.told() == [IndexDocuments(tenant="acme", documents=tuple(ids))]


@pytest.mark.asyncio
async def test_a_view_tells_what_the_engine_knows(client: httpx.AsyncClient, rag: Rag) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]
    await rag.write(view["id"], state="indexed", chunks=3, indexed_at=datetime(2026, 11, 22, 13, tzinfo=UTC))
    indexed = (await client.get(view["links"]["self"])).json()
    await rag.write(view["id"], state="failed", error="it is empty", chunks=0)
    failed = (await client.get(view["links"]["self"])).json()

    assert (indexed["state"], indexed["chunks"], indexed["indexed_at"]) == ("indexed", 3, "2026-11-22T13:00:00Z")
    assert (failed["state"], failed["error"]) == ("failed", "it is empty")


@pytest.mark.asyncio
async def test_the_same_again_while_indexed_changes_nothing(client: httpx.AsyncClient, rag: Rag) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]
    await rag.write(view["id"], state="indexed", chunks=3)
    before = await rag.row(view["id"])

    again = await sent(client, LOGIN)

    assert again.status_code == 202
    assert again.json()["documents"][0]["state"] == "indexed"
    assert await rag.row(view["id"]) == before


@pytest.mark.asyncio
@pytest.mark.parametrize("changed", [{"text": "# Login\nTokens stay."}, {"tags": []}])
async def test_another_text_or_other_tags_replace_it(
    client: httpx.AsyncClient, rag: Rag, changed: dict[str, Any]
) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]
    await rag.write(view["id"], state="indexed", chunks=3)

    [replaced] = (await sent(client, LOGIN | changed)).json()["documents"]

    assert (replaced["id"], replaced["state"], replaced["chunks"]) == (view["id"], "queued", 3)
    assert (await rag.text(view["id"])).text == (LOGIN | changed)["text"]
    assert len(await rag.told()) == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("state", ["failed", "deleting"])
async def test_a_document_that_failed_or_was_deleted_is_queued_anew(
    client: httpx.AsyncClient, rag: Rag, state: str
) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]
    first = await rag.row(view["id"])
    await rag.write(view["id"], state=state, error="gone")

    [again] = (await sent(client, LOGIN)).json()["documents"]

    assert (again["state"], again["error"]) == ("queued", None)
    assert (await rag.row(view["id"])).text.sha256 != first.text.sha256  # the old one may be removed at any time


@pytest.mark.asyncio
async def test_deleting_asks_the_engine_and_can_be_repeated(client: httpx.AsyncClient, rag: Rag) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]

    answers = [await client.delete(view["links"]["self"]) for _ in range(2)]

    assert [(answer.status_code, answer.json()["state"]) for answer in answers] == [(202, "deleting")] * 2
    assert (await rag.row(view["id"])).state == "deleting"
    assert len(await rag.told()) == 3
    await rag.rows.delete(f"acme.{view['id']}")
    assert (await client.delete(view["links"]["self"])).status_code == 404


@pytest.mark.asyncio
async def test_a_document_that_was_deleted_can_be_sent_again(client: httpx.AsyncClient, rag: Rag) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]
    await rag.rows.delete(f"acme.{view['id']}")

    assert (await sent(client, LOGIN)).status_code == 202
    assert (await rag.row(view["id"])).state == "queued"


class Interrupted(KeyValue):
    """Somebody else writes between the first look and the first word."""

    def __init__(self, bus: Bus) -> None:
        super().__init__(bus, subjects.DOCUMENTS)
        self.interrupt: Callable[[], Any] | None = None

    async def get(self, key: str) -> Any:
        return await self._seen(await super().get(key))

    async def newest(self, key: str) -> Any:
        return await self._seen(await super().newest(key))

    async def _seen(self, found: Any) -> Any:
        if self.interrupt:
            interrupt, self.interrupt = self.interrupt, None
            await interrupt()
        return found


@pytest.mark.asyncio
async def test_whoever_writes_in_between_is_not_overwritten_unseen(
    gateway: Gateway, client: httpx.AsyncClient, rag: Rag
) -> None:
    theirs = DocumentEntry(
        tenant="acme",
        id=document_id(LOGIN["path"]),
        path=LOGIN["path"],
        text=await Artifacts(rag.bus).put(b"x", "text/plain"),
        state="indexed",
        chunks=7,
        submitted_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    rows = gateway.knowledge._rows = Interrupted(rag.bus)
    rows.interrupt = lambda: rag.rows.create(f"acme.{theirs.id}", theirs.to_json())

    [view] = (await sent(client, LOGIN)).json()["documents"]

    assert (view["state"], view["chunks"]) == ("queued", 7)
    rows.interrupt = lambda: rag.write(view["id"], state="indexed", chunks=8)
    deleted = await client.delete(view["links"]["self"])
    assert (deleted.json()["state"], deleted.json()["chunks"]) == ("deleting", 8)


@pytest.mark.asyncio
async def test_documents_are_listed_in_pages_and_none_is_missed(client: httpx.AsyncClient, rag: Rag) -> None:
    await sent(client, *some(5))
    first = (await client.get(PATH, params={"limit": 2})).json()
    moved = document_id(first["documents"][0]["path"])
    await rag.write(moved, state="indexed")

    listed = await pages(client, limit=2)
    rest = (await client.get(PATH, params={"cursor": first["next"]})).json()["documents"]

    assert [len(page) for page in listed] == [2, 2, 1]
    assert sorted(path for page in listed for path in page) == [document["path"] for document in some(5)]
    assert len(rest) == 4
    assert rest[-1]["id"] == moved  # it changed, so it is told again


@pytest.mark.asyncio
async def test_a_list_can_be_of_one_state(client: httpx.AsyncClient, rag: Rag) -> None:
    await sent(client, *some(5))
    await rag.write(document_id("docs/001.md"), state="failed", error="x")

    assert await pages(client, state="failed") == [["docs/001.md"]]
    assert [len(page) for page in await pages(client, state="queued", limit=2)] == [2, 2]
    assert await pages(client, state="deleting") == [[]]
    assert (await client.get(PATH, params={"state": "lost"})).status_code == 422


@pytest.mark.asyncio
async def test_a_page_of_a_rare_state_ends_early_and_the_next_goes_on(
    client: httpx.AsyncClient, rag: Rag, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_ROWS_PER_READ", 2)
    monkeypatch.setattr(stored, "MAX_ROWS_PER_PAGE", 4)
    await sent(client, *some(7))
    await rag.write(document_id("docs/001.md"), state="failed", error="x")

    assert await pages(client, state="failed") == [[], ["docs/001.md"]]


@pytest.mark.asyncio
@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "ä", "x" * 101, "../.."])
async def test_a_cursor_that_was_never_given_out_is_refused(client: httpx.AsyncClient, cursor: str) -> None:
    answer = await client.get(PATH, params={"cursor": cursor})

    assert answer.status_code in (400, 422)


@pytest.mark.asyncio
async def test_no_tenant_sees_or_touches_anothers_documents(client: httpx.AsyncClient, rag: Rag, mint: Mint) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]
    eve = bearer(mint(tenant="beta", sub="eve"))

    read = await client.get(view["links"]["self"], headers=eve)
    deleted = await client.delete(view["links"]["self"], headers=eve)
    listed = await client.get(PATH, headers=eve)
    theirs = await sent(client, LOGIN | {"text": "theirs"}, headers=eve)

    assert (read.status_code, deleted.status_code, listed.json()["documents"]) == (404, 404, [])
    assert theirs.json()["documents"][0]["id"] == view["id"]  # the same path, in another tenant's keys
    assert (await rag.row(view["id"])).state == "queued"
    assert (await rag.text(view["id"])).text == LOGIN["text"]


@pytest.mark.asyncio
async def test_viewers_read_and_only_developers_write(
    client: httpx.AsyncClient, rag: Rag, mint: Mint, bus: Bus
) -> None:
    [view] = (await sent(client, LOGIN)).json()["documents"]
    for role in ("viewer", "approver", "operator"):
        headers = bearer(mint(roles=[role], sub=role))
        assert (await client.get(PATH, headers=headers)).status_code == 200
        assert (await client.get(view["links"]["self"], headers=headers)).status_code == 200
        assert (await sent(client, LOGIN | {"text": "x"}, headers=headers)).status_code == 403
        assert (await client.delete(view["links"]["self"], headers=headers)).status_code == 403

    denied = [AuditRecord.consume(found.data) for found in await bus.read("AUDIT", "ws.v1.audit.acme.denied", 0)]
    assert [(record.principal, record.action) for record in denied[:2]] == [
        ("viewer", "submitDocuments"),
        ("viewer", "deleteDocument"),
    ]
    assert (await rag.row(view["id"])).state == "queued"


@pytest.mark.asyncio
@pytest.mark.parametrize("path", ["", "/etc/passwd", "a\\b", "a//b", "./a", "a/../b", "a/", "x" * 401, "a\x00b", 7])
async def test_a_path_that_names_no_document_is_refused_with_the_reason(
    client: httpx.AsyncClient, rag: Rag, path: Any
) -> None:
    answer = await sent(client, LOGIN, LOGIN | {"path": path})

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "documents.1.path"
    assert error["message"]
    assert await rag.told() == []


@pytest.mark.asyncio
async def test_a_path_named_twice_is_refused_by_name(client: httpx.AsyncClient, rag: Rag) -> None:
    answer = await sent(client, LOGIN, *some(2), LOGIN)

    assert answer.status_code == 422
    assert LOGIN["path"] in answer.text
    assert await rag.told() == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"documents": []},
        {"documents": [{"path": "a"}]},
        {"documents": [LOGIN | {"owner": "eve"}]},
        {"documents": [LOGIN | {"tags": ["no tag"]}]},
        {"documents": some(501)},
    ],
)
async def test_what_does_not_fit_is_refused_as_a_whole(client: httpx.AsyncClient, rag: Rag, body: Any) -> None:
    assert (await client.post(PATH, json=body)).status_code == 422
    assert await rag.told() == []


@pytest.mark.asyncio
async def test_documents_have_a_body_limit_of_their_own(client: httpx.AsyncClient, settings: GatewaySettings) -> None:
    large = LOGIN | {"text": "x" * (2 * settings.max_body_bytes)}
    too_large = LOGIN | {"text": "x" * settings.max_knowledge_bytes}

    assert (await sent(client, large)).status_code == 202
    assert (await sent(client, too_large)).status_code == 413
    assert (await client.post("/v1/tasks", json={"request": large["text"]})).status_code == 413


@pytest.mark.asyncio
async def test_a_text_that_is_too_long_is_named(gateway: Gateway, settings: GatewaySettings, mint: Mint) -> None:
    roomy = settings.model_copy(update={"max_knowledge_bytes": 16 << 20})
    transport = httpx.ASGITransport(create_app(gateway, Health(), roomy))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=bearer(mint())) as client:
        answer = await sent(client, LOGIN, LOGIN | {"path": "notes/all.md", "text": "ä" * (1 << 20) + "x"})

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "documents.1"
    assert error["message"].startswith("notes/all.md: 2097153 bytes")


@pytest.mark.asyncio
async def test_a_full_queue_says_wait_and_sending_the_same_again_heals_it(client: httpx.AsyncClient, rag: Rag) -> None:
    for n in range(subjects.WORK_CAP_PER_TENANT):
        assert (await sent(client, LOGIN | {"path": f"{n}.md"})).status_code == 202

    full = await sent(client, LOGIN)
    await rag.bus.jetstream.purge_stream("WORK", subject=subjects.work_subject("rag", "acme"))
    healed = await sent(client, LOGIN)

    assert (full.status_code, full.json()["type"]) == (429, "urn:worksite:problem:queue-full")
    assert int(full.headers["retry-after"]) > 0
    assert healed.status_code == 202
    assert [message.documents for message in await rag.told()] == [(document_id(LOGIN["path"]),)]


class Full(Artifacts):
    async def put(self, data: bytes, media_type: str) -> Any:
        raise QueueFull("maximum bytes exceeded")


@pytest.mark.asyncio
async def test_a_store_without_room_says_so(gateway: Gateway, client: httpx.AsyncClient, rag: Rag) -> None:
    gateway.knowledge._texts = Full(rag.bus)

    answer = await sent(client, LOGIN)

    assert (answer.status_code, answer.json()["type"]) == (507, "urn:worksite:problem:knowledge-full")
    assert await rag.told() == []


@pytest.mark.asyncio
async def test_without_nats_nothing_is_accepted(
    gateway: Gateway, client: httpx.AsyncClient, nats_server: NatsServer, wait_until: Any, bus: Bus
) -> None:
    await client.get(PATH)  # the token is verified and known by now
    nats_server.kill()
    await wait_until(lambda: not bus.connected)

    answers = [await sent(client, LOGIN), await client.get(PATH), await client.delete(f"{PATH}/{ABSENT}")]

    assert {answer.json()["type"] for answer in answers} == {"urn:worksite:problem:bus-unavailable"}
    with pytest.raises(Exception, match="not connected"):
        await gateway.knowledge.submit("acme", [])


@pytest.mark.asyncio
async def test_malformed_and_unknown_ids_are_not_found(client: httpx.AsyncClient) -> None:
    for document in (ABSENT, "nonsense", "*", ">", "a.b", "A" * 32):
        for method in ("GET", "DELETE"):
            answer = await client.request(method, f"{PATH}/{document}")
            assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such document")


@pytest.mark.asyncio
async def test_a_body_that_stops_coming_is_given_up(app: FastAPI, mint: Mint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "_BODY_SECONDS", 0.05)
    sent_messages: list[Any] = []
    headers = [(b"authorization", f"Bearer {mint()}".encode()), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b""}

    async def receive() -> Any:
        if not sent_messages:
            await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent_messages.append(message)

    await app(scope, receive, send)

    assert sent_messages[0]["status"] == 408


@pytest.mark.asyncio
async def test_a_tenant_that_sends_slowly_leaves_places_for_bodies_of_others(
    gateway: Gateway, settings: GatewaySettings, mint: Mint
) -> None:
    narrow = replace(gateway, knowledge_places=Places(4))
    transport = httpx.ASGITransport(create_app(narrow, Health(), settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        client.headers.update(bearer(mint()))
        with narrow.knowledge_places.take("acme"), narrow.knowledge_places.take("acme"):
            third = await sent(client, LOGIN)
            other = await client.post(PATH, json={"documents": [LOGIN]}, headers=bearer(mint(tenant="beta")))
        free = await sent(client, LOGIN)

    assert (third.status_code, third.json()["type"]) == (429, "urn:worksite:problem:too-many-uploads")
    assert int(third.headers["retry-after"]) > 0
    assert (other.status_code, free.status_code) == (202, 202)


@pytest.mark.asyncio
async def test_who_may_not_send_documents_is_told_so_where_there_is_no_place_left(
    gateway: Gateway, settings: GatewaySettings, mint: Mint
) -> None:
    full = replace(gateway, knowledge_places=Places(0))
    transport = httpx.ASGITransport(create_app(full, Health(), settings))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        forbidden = await client.post(PATH, json={"documents": [LOGIN]}, headers=bearer(mint(roles=["viewer"])))

    assert forbidden.status_code == 403
    assert f'"principal";r={settings.burst_per_principal - 5};' in forbidden.headers["ratelimit"]


@pytest.mark.asyncio
@pytest.mark.parametrize("text", ["", " \n\t"])
async def test_an_empty_text_is_refused_as_a_form_refuses_it(client: httpx.AsyncClient, rag: Rag, text: str) -> None:
    answer = await sent(client, LOGIN | {"text": text})

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": "documents.0.text", "message": "empty"}]
    assert await rag.told() == []


@pytest.mark.asyncio
async def test_a_wrong_tag_is_one_error_and_no_documents_at_all_is_another(client: httpx.AsyncClient, rag: Rag) -> None:
    wrong_tag = (await sent(client, LOGIN | {"tags": ["no tag"]})).json()["errors"]
    nothing = (await sent(client)).json()["errors"]

    assert [error["field"] for error in wrong_tag] == ["documents.0.tags.0"]
    assert [error["field"] for error in nothing] == ["documents"]
