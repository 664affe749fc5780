"""Tenants' documents on a real bus: from a message to an answer, and back to order after whatever happened."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from worksite.cli.stack import nats_config
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, KeyValue, announce, provision
from worksite.common.errors import PermissionDenied
from worksite.common.health import Health
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import DeadLetter, DocumentEntry, IndexDocuments, NewProject, document_id
from worksite.common.service import Running
from worksite.common.testing import examples, start_nats
from worksite.rag import reconciling
from worksite.rag.backlog import Backlog
from worksite.rag.converting import Converter
from worksite.rag.domain.queries import Scope, SearchQuery
from worksite.rag.index import Indexer
from worksite.rag.keeper import Keeper
from worksite.rag.reconciling import Reconciler
from worksite.rag.search import SearchEngine
from worksite.rag.settings import RagSettings
from worksite.rag.store import VectorStore
from worksite.rag.stores.edge import open_edge_store
from worksite.rag.tenants import keep_documents

pytestmark = pytest.mark.asyncio
TEXT = "# Login\n\nA session ends after fifteen minutes.\n"


@asynccontextmanager
async def keeping(bus: Bus, indexer: Indexer) -> AsyncGenerator[Running, None]:
    """The running service, less its start and its searches."""
    micro = await announce(bus, "rag", "0.1.0")
    running = Running(bus, micro, Health(), asyncio.Event(), asyncio.Event())
    serving = asyncio.create_task(keep_documents(RagSettings(), running, indexer, Converter(), running.stop))
    try:
        yield running
    finally:
        running.stop.set()
        await asyncio.wait_for(serving, 60)
        await micro.stop()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.01)


async def settled(client: Any, *paths: str) -> list[DocumentEntry]:
    """The rows once none of them waits."""

    async def all_done() -> bool:
        return all(row and row.state in {"indexed", "failed"} for row in [await client.row(path) for path in paths])

    await until(all_done)
    return [await client.row(path) for path in paths]


async def paths(indexer: Indexer, tenant: str = "acme") -> dict[str, int]:
    return (await indexer.store.counts()).get(tenant, {})


async def test_message_makes_documents_searchable_and_one_bad_document_stops_no_other(
    bus: Bus, client: Any, indexer: Indexer
) -> None:
    async with keeping(bus, indexer) as running:
        bad = await client.send("bad.md", "", blob=b"{")
        good = await client.send("good.md", TEXT)
        await client.hint(bad, good, document_id("never sent"))
        rows = await settled(client, "bad.md", "good.md")
        assert [(row.state, row.chunks) for row in rows] == [("failed", 0), ("indexed", 1)]
        assert "send the document again" in rows[0].error
        await client.hint(await client.delete("bad.md"), await client.delete("good.md"))
        await until(lambda: gone(client))
        probes = running.health.alive
        assert {name: probe() for name, probe in probes.items()} == {"consumer": None, "indexing": None}
    assert await paths(indexer) == {}


async def gone(client: Any) -> bool:
    return await client.rows.entries() == [] and await client.blobs() == 0


async def test_message_that_comes_again_embeds_nothing_again(
    bus: Bus, client: Any, indexer: Indexer, embedded: list[str]
) -> None:
    async with keeping(bus, indexer):
        ids = [await client.send(f"{n}.md", f"# Note {n}\n\ntext\n") for n in range(5)]
        for _ in range(3):
            await client.hint(*ids, *ids)
        await settled(client, *(f"{n}.md" for n in range(5)))
    assert len(embedded) == 5
    assert await paths(indexer) == {f"{n}.md": 1 for n in range(5)}


async def dead_letters(bus: Bus) -> list[DeadLetter]:
    return [DeadLetter.consume(stored.data) for stored in await bus.read("DEAD", "ws.v1.dead.rag.*", 0)]


async def test_messages_that_cannot_be_handled_become_dead_letters_and_those_behind_them_are_handled(
    bus: Bus, client: Any, indexer: Indexer
) -> None:
    subject = subjects.work_subject("rag", "acme")
    hint = IndexDocuments(tenant="acme", documents=(document_id("a.md"),))
    other = hint.model_copy(update={"tenant": "other"})
    shared = hint.model_copy(update={"tenant": SHARED_TENANT})

    def envelope(message: Any, tenant: str = "acme") -> Envelope:
        return Envelope(message.ce_type(), "gateway", tenant, "knowledge")

    await bus.publish_raw(subject, b"{}", {})
    await bus.publish_raw(subject, b"{", envelope(hint).headers())
    await bus.publish(subject, examples.commands()[0], envelope(examples.commands()[0]))
    await bus.publish(subject, other, envelope(other))
    await bus.publish(subject, other, envelope(other, "other"))
    await bus.publish(subjects.work_subject("rag", SHARED_TENANT), shared, envelope(shared, SHARED_TENANT))
    await client.send("a.md", TEXT)
    await client.hint(*hint.documents)
    async with keeping(bus, indexer):
        await settled(client, "a.md")
        await until(lambda: emptied(bus))
    reasons = [letter.reason for letter in await dead_letters(bus)]
    assert len(reasons) == 6
    for reason, expected in zip(
        sorted(reasons),
        sorted(
            [
                "header ce-id is missing",
                "worksite.v1.index_documents: 1 validation error",
                "worksite.v1.import_project is nothing that rag handles",
                "subject, envelope and body name different tenants",
                "subject, envelope and body name different tenants",
                "the documents of tenant shared come from folders only",
            ]
        ),
        strict=True,
    ):
        assert reason.startswith(expected)


async def emptied(bus: Bus) -> bool:
    return (await bus.jetstream.stream_info("WORK")).state.messages == 0


async def test_message_of_a_newer_version_is_handed_back_not_buried(bus: Bus, indexer: Indexer) -> None:
    newer = Envelope("worksite.v1.index_pictures", "gateway", "acme", "knowledge")
    await bus.publish_raw(subjects.work_subject("rag", "acme"), b"{}", newer.headers())

    async def handed_back() -> bool:
        info = await bus.jetstream.consumer_info("WORK", "rag")
        return info.num_pending == 0 and info.num_ack_pending == 1

    async with keeping(bus, indexer):
        await until(handed_back)
    assert await dead_letters(bus) == []
    assert (await bus.jetstream.stream_info("WORK")).state.messages == 1


async def test_row_that_cannot_be_read_stops_no_other_and_keeps_all_texts(
    bus: Bus, client: Any, keeper: Keeper, indexer: Indexer
) -> None:
    await client.rows.create(f"acme.{document_id('bad.md')}", b"{")
    await client.send("a.md", TEXT)
    await client.send("a.md", TEXT + "more\n")
    async with keeping(bus, indexer):
        await settled(client, "a.md")
    await look(keeper, Backlog(keeper.settle, indexer.lane.progress))
    assert await client.blobs() == 4


async def look(keeper: Keeper, backlog: Any, now: datetime | None = None) -> None:
    """One pass over everything, a day later by default."""
    reconciler = Reconciler(keeper.rows, keeper.texts, keeper.indexer.store, backlog)
    await reconciler.look(now or datetime.now(UTC) + timedelta(days=1))


class Added(list[tuple[str, str]]):
    """A backlog that only takes notes."""

    def add(self, tenant: str, document: str, since: float | None = None) -> None:
        self.append((tenant, document))


async def test_rows_whose_message_was_lost_are_found_at_the_start(bus: Bus, client: Any, indexer: Indexer) -> None:
    async with keeping(bus, indexer):
        await client.hint(await client.send("old.md", TEXT))
        await settled(client, "old.md")
    await client.send("new.md", TEXT)
    await client.delete("old.md")
    async with keeping(bus, indexer):
        await settled(client, "new.md")
        await until(lambda: removed(client, "old.md"))
    assert await paths(indexer) == {"new.md": 1}


async def removed(client: Any, path: str) -> bool:
    return await client.row(path) is None


async def test_index_that_was_lost_is_made_again_from_the_stored_texts(
    bus: Bus, client: Any, indexer: Indexer, tmp_path: Path
) -> None:
    async with keeping(bus, indexer):
        await client.hint(await client.send("a.md", TEXT), await client.send("b.md", TEXT))
        before = await settled(client, "a.md", "b.md")
    store = open_edge_store(tmp_path / "another", "fedcba9876543210")
    afresh = replace(indexer, store=store, index="worksite-fedcba9876543210")
    async with keeping(bus, afresh):
        await until(lambda: has(afresh, {"a.md": 1, "b.md": 1}))
        after = await settled(client, "a.md", "b.md")
    await store.close()
    assert all(new.indexed_at >= old.indexed_at for new, old in zip(after, before, strict=True))


async def has(indexer: Indexer, expected: dict[str, int]) -> bool:
    return await paths(indexer) == expected


async def test_nothing_is_looked_at_again_when_all_agrees(client: Any, keeper: Keeper) -> None:
    await keeper.settle("acme", await client.send("a.md", TEXT))
    await keeper.settle("acme", await client.send("bad.md", "", blob=b"{"))
    added = Added()
    await look(keeper, added)
    assert added == []


async def test_chunks_without_a_row_are_found_but_not_those_of_the_shared_folders(
    client: Any, keeper: Keeper, bus: Bus, indexer: Indexer, corpus: list[Any]
) -> None:
    await indexer.sync(SHARED_TENANT, corpus)
    await keeper.settle("acme", await client.send("a.md", TEXT))
    await bus.purge("KV_documents", "$KV.documents.>")
    added = Added()
    await look(keeper, added)
    assert added == [("acme", document_id("a.md"))]


async def test_text_that_was_replaced_is_removed_once_nothing_refers_to_it_and_it_had_time_to_get_a_row(
    client: Any, keeper: Keeper
) -> None:
    for text in (TEXT, TEXT + "more\n"):
        await keeper.settle("acme", await client.send("a.md", text))
    await look(keeper, Added(), datetime.now(UTC))
    assert await client.blobs() == 4
    await look(keeper, Added())
    assert await client.blobs() == 2
    assert await client.texts.get((await client.row("a.md")).text)


async def test_look_at_everything_that_fails_is_repeated_soon(
    client: Any, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reconciling, "backoff", lambda _: 0.001)
    await client.send("a.md", TEXT)
    added = Added()
    reconciler = Reconciler(keeper.rows, keeper.texts, FailsOnce(keeper.indexer.store), added)  # pyright: ignore
    looking = asyncio.create_task(reconciler.run())
    await until(lambda: holds(len(added) == 1))
    looking.cancel()
    await asyncio.wait({looking})
    assert "not all documents could be looked at: the store is away" in caplog.text


class FailsOnce:
    """A store that is away the first time it is asked."""

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self._asked = 0

    async def counts(self, by: Any = "path") -> Any:
        self._asked += 1
        if self._asked == 1:
            raise RuntimeError("the store is away")
        return await self._store.counts(by)


async def test_outage_of_the_bus_fails_no_document(nats_server: Any, bus: Bus, client: Any, indexer: Indexer) -> None:
    documents = [await client.send(f"{n}.md", f"# {n}\n\ntext\n") for n in range(3)]
    hasty = await Bus.connect(BusSettings(nats_server.url, "rag", timeout_seconds=0.2))
    theirs = replace(client, bus=hasty)
    backlog = Backlog(Keeper(theirs.rows, theirs.texts, indexer).settle, indexer.lane.progress)
    working = asyncio.create_task(backlog.run())
    deferred = counted("deferred")
    nats_server.kill()
    for document in documents:
        backlog.add("acme", document)
    await until(lambda: holds(counted("deferred") >= deferred + 3))
    nats_server.start()
    await until(lambda: holds(bus.connected))
    rows = await settled(client, "0.md", "1.md", "2.md")
    working.cancel()
    await asyncio.wait({working})
    await hasty.close()
    assert [row.state for row in rows] == ["indexed"] * 3


async def holds(condition: bool) -> bool:
    return condition


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("rag_ingest_documents_total", {"outcome": outcome}) or 0.0


async def test_what_a_task_built_is_found_by_its_tenant_until_a_later_task_replaces_it(
    bus: Bus, client: Any, indexer: Indexer
) -> None:
    engine = SearchEngine(indexer.embedder, indexer.encoder, indexer.store)

    async def found(tenant: str) -> set[str]:
        result = await engine.search(SearchQuery("frobnicate the kumquat", Scope(tenant)))
        return {hit.passage.path for hit in result.hits if "kumquat" in hit.passage.text}

    first, second = "1" * 32, "2" * 32
    code = {"a.py": "def frobnicate(kumquat):\n    return kumquat\n"}
    async with keeping(bus, indexer):
        await client.finish(first, code, NewProject(name="shop"))
        await until(lambda: is_settled(client, f"tasks/{first}/branch/a.py"))
        assert (await found("acme"), await found("other")) == ({f"tasks/{first}/branch/a.py"}, set())
        await client.finish(second, {"b.py": code["a.py"]}, NewProject(name="shop"))
        await until(lambda: removed(client, f"tasks/{first}/branch/a.py"))
        await settled(client, f"tasks/{second}/branch/b.py")
        assert await found("acme") == {f"tasks/{second}/branch/b.py"}


async def is_settled(client: Any, path: str) -> bool:
    row = await client.row(path)
    return row is not None and row.state == "indexed"


async def test_rag_may_do_all_of_this_with_the_rights_it_is_given_and_the_gateway_its_part(
    tmp_path: Path, client: Any, indexer: Indexer
) -> None:
    directory = tmp_path / "guarded"
    directory.mkdir()
    passwords = {user: f"password-of-{user}" for user in (*subjects.SERVICES, "provision")}
    with start_nats(directory, nats_config.authorization(passwords, "provision")) as server:

        async def connected(user: str) -> Bus:
            return await Bus.connect(BusSettings(server.url, user, user, SecretStr(passwords[user])))

        provisioner, rag, gateway = [await connected(user) for user in ("provision", "rag", "gateway")]
        await provision(provisioner, 1 << 30)
        client = replace(client, bus=gateway)
        async with keeping(rag, indexer):
            await client.hint(await client.send("a.md", TEXT), await client.send("bad.md", "", blob=b"{"))
            assert [row.state for row in await settled(client, "a.md", "bad.md")] == ["indexed", "failed"]
            replaced = await client.send("a.md", TEXT + "more\n")
            keeper = Keeper(KeyValue(rag, subjects.DOCUMENTS), replace(client, bus=rag).texts, indexer)
            await client.hint(replaced)
            await settled(client, "a.md")
            await look(keeper, Added())
            await client.hint(await client.delete("a.md"), await client.delete("bad.md"))
            await until(lambda: removed(client, "a.md"))
            await until(lambda: removed(client, "bad.md"))
            await client.finish("1" * 32, {}, NewProject())
            results = [f"tasks/{'1' * 32}/{name}.md" for name in ("spec", "report")]
            for result in results:
                await until(lambda path=result: is_settled(client, path))
                await client.hint(await client.delete(result))
                await until(lambda path=result: removed(client, path))
        assert (await provisioner.jetstream.stream_info("OBJ_knowledge")).state.messages == 0
        with pytest.raises(PermissionDenied):
            await gateway.purge("OBJ_knowledge", "$O.knowledge.>")
        for forbidden in ("$KV.tasks.acme.x", "$KV.ledger.builder.x", "$O.artifacts.M.x"):
            with pytest.raises(PermissionDenied):
                await rag.publish_raw(forbidden, b"", {})
        for opened in (provisioner, rag, gateway):
            await opened.close()
