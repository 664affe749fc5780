"""One document at a time: the index, the row and the stored text agree afterwards."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from worksite.common.bus import Bus
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import document_id
from worksite.rag.domain.documents import Document
from worksite.rag.domain.queries import Filters, Scope, SearchQuery
from worksite.rag.index import Indexer
from worksite.rag.keeper import Keeper
from worksite.rag.search import SearchEngine
from worksite.rag.stores.edge import EdgeStore

pytestmark = pytest.mark.asyncio
LOGIN = "# Login\n\nA session ends after fifteen minutes.\n\n# Lockout\n\nFive wrong passwords lock an account.\n"


@pytest.fixture
def engine(indexer: Indexer) -> SearchEngine:
    return SearchEngine(indexer.embedder, indexer.encoder, indexer.store)


async def found(engine: SearchEngine, question: str, tenant: str = "acme", filters: Filters | None = None) -> list[str]:
    result = await engine.search(SearchQuery(question, Scope(tenant, filters or Filters())))
    return [hit.passage.path for hit in result.hits]


async def test_document_is_found_by_its_path_once_it_is_indexed(
    client: Any, keeper: Keeper, engine: SearchEngine
) -> None:
    document = await client.send("notes/login.md", LOGIN, "auth")
    assert await keeper.settle("acme", document) == "indexed"
    hit = (await engine.search(SearchQuery("when does a session end?", Scope("acme")))).hits[0].passage
    assert (hit.path, hit.start_line, hit.end_line, hit.heading) == ("notes/login.md", 1, 3, ("Login",))
    row = await client.row("notes/login.md")
    assert (row.state, row.chunks, row.error) == ("indexed", 2, None)
    assert row.indexed_at is not None


async def test_filters_choose_among_a_tenants_documents(client: Any, keeper: Keeper, engine: SearchEngine) -> None:
    for path, tag in (("notes/login.md", "auth"), ("code/login.py", "code")):
        await keeper.settle("acme", await client.send(path, LOGIN, tag, "all"))
    for filters, expected in (
        (Filters(path_prefix="notes/"), {"notes/login.md"}),
        (Filters(tags=("code",)), {"code/login.py"}),
        (Filters(tags=("code", "all")), {"code/login.py"}),
        (Filters(tags=("code", "auth")), set[str]()),
        (Filters(kind="document"), {"notes/login.md", "code/login.py"}),
        (Filters(kind="blueprint"), set[str]()),
    ):
        assert set(await found(engine, "session", filters=filters)) == expected


async def test_looking_again_embeds_and_writes_nothing(client: Any, keeper: Keeper, embedded: list[str]) -> None:
    document = await client.send("a.md", LOGIN)
    await keeper.settle("acme", document)
    before, embedded[:] = await client.row("a.md"), []
    assert await keeper.settle("acme", document) == "unchanged"
    assert (await client.row("a.md"), embedded) == (before, [])


async def test_replaced_text_takes_the_place_of_the_old_one_and_only_its_new_chunk_is_embedded(
    client: Any, keeper: Keeper, engine: SearchEngine, embedded: list[str]
) -> None:
    await keeper.settle("acme", await client.send("a.md", LOGIN))
    embedded.clear()
    document = await client.send("a.md", LOGIN.replace("fifteen minutes", "an hour"))
    assert await keeper.settle("acme", document) == "indexed"
    assert embedded == ["Login\n# Login\n\nA session ends after an hour."]
    texts = [hit.passage.text for hit in (await engine.search(SearchQuery("session", Scope("acme")))).hits]
    assert len(texts) == 2
    assert not any("fifteen" in text for text in texts)


async def test_new_tags_alone_embed_nothing(
    client: Any, keeper: Keeper, engine: SearchEngine, embedded: list[str]
) -> None:
    await keeper.settle("acme", await client.send("a.md", LOGIN, "old"))
    embedded.clear()
    await keeper.settle("acme", await client.send("a.md", LOGIN, "new"))
    assert embedded == []
    assert await found(engine, "session", filters=Filters(tags=("new",))) == ["a.md", "a.md"]
    assert await found(engine, "session", filters=Filters(tags=("old",))) == []


async def test_row_that_counts_the_chunks_of_another_chunker_is_corrected_without_a_look_at_the_text(
    client: Any, keeper: Keeper
) -> None:
    document = await client.send("a.md", LOGIN)
    await keeper.settle("acme", document)
    written, row = await client.rows.get(f"acme.{document}"), await client.row("a.md")
    await client.rows.update(written.key, row.model_copy(update={"chunks": 5}).to_json(), written.revision)
    await client.texts.remove(row.text)
    assert await keeper.settle("acme", document) == "indexed"
    assert (await client.row("a.md")).chunks == row.chunks
    assert await keeper.settle("acme", document) == "unchanged"


async def test_document_without_a_word_is_indexed_with_no_chunk(client: Any, keeper: Keeper) -> None:
    document = await client.send("empty.py", " \n")
    assert await keeper.settle("acme", document) == "indexed"
    assert await keeper.settle("acme", document) == "unchanged"
    assert (await client.row("empty.py")).chunks == 0


async def test_deleted_document_leaves_neither_chunks_nor_row_nor_text(
    client: Any, keeper: Keeper, engine: SearchEngine
) -> None:
    await keeper.settle("acme", await client.send("a.md", LOGIN))
    await keeper.settle("acme", await client.send("kept.md", "# Kept\n\nstays\n"))
    assert await keeper.settle("acme", await client.delete("a.md")) == "deleted"
    assert set(await found(engine, "session")) == {"kept.md"}
    assert await client.row("a.md") is None
    assert await client.blobs() == 2
    marker = await client.bus.last("KV_documents", f"$KV.documents.acme.{document_id('a.md')}")
    assert marker is None or "Nats-TTL" in marker.headers  # it goes by itself
    assert await keeper.settle("acme", document_id("a.md")) == "unchanged"


async def test_same_text_sent_again_after_its_deletion_is_there(
    client: Any, keeper: Keeper, engine: SearchEngine
) -> None:
    await keeper.settle("acme", await client.send("a.md", LOGIN))
    await keeper.settle("acme", await client.delete("a.md"))
    await keeper.settle("acme", await client.send("a.md", LOGIN))
    assert set(await found(engine, "session")) == {"a.md"}


async def test_text_that_is_lost_fails_with_what_to_do_and_its_earlier_version_does_not_answer(
    client: Any, keeper: Keeper, engine: SearchEngine
) -> None:
    await keeper.settle("acme", await client.send("a.md", LOGIN))
    document = await client.send("a.md", "# New\n\nnew\n")
    await client.texts.remove((await client.row("a.md")).text)
    assert await keeper.settle("acme", document) == "failed"
    row = await client.row("a.md")
    assert (row.state, row.chunks) == ("failed", 0)
    assert "send the document again" in row.error
    assert await found(engine, "session") == []
    assert await keeper.settle("acme", await client.send("a.md", LOGIN)) == "indexed"
    assert (await client.row("a.md")).error is None


async def test_text_of_another_tenant_or_path_is_never_indexed(
    client: Any, keeper: Keeper, engine: SearchEngine
) -> None:
    other = replace(client, tenant="other")
    await other.send("a.md", LOGIN)
    await client.send("b.md", LOGIN)
    for path, theirs in (("a.md", await other.row("a.md")), ("c.md", await client.row("b.md"))):
        await client.write(path, theirs.text)
        assert await keeper.settle("acme", document_id(path)) == "failed"
        assert "belongs to another document" in (await client.row(path)).error
    assert await found(engine, "session") == []


async def test_text_that_claims_to_be_huge_is_not_fetched(client: Any, keeper: Keeper) -> None:
    document = await client.send("a.md", LOGIN)
    ref = (await client.row("a.md")).text.model_copy(update={"size": 1 << 30})
    await client.write("a.md", ref)
    assert await keeper.settle("acme", document) == "failed"
    assert "at most" in (await client.row("a.md")).error


async def test_text_that_cannot_be_embedded_fails_and_says_so(client: Any, keeper: Keeper, indexer: Indexer) -> None:
    class Fails(type(indexer.embedder)):
        def __init__(self) -> None:
            self.__dict__.update(indexer.embedder.__dict__)

        def embed(self, text: str) -> Any:
            raise ValueError("NaN")

    keeper = replace(keeper, indexer=replace(indexer, embedder=Fails()))
    assert await keeper.settle("acme", await client.send("a.md", LOGIN)) == "failed"
    assert (await client.row("a.md")).error == "its text cannot be indexed: ValueError: NaN"


async def test_same_path_may_exist_for_several_tenants_and_in_the_shared_folders(
    client: Any, keeper: Keeper, engine: SearchEngine, indexer: Indexer
) -> None:
    await indexer.sync(SHARED_TENANT, [Document("docs/a.md", "# Shared\n\nshared session\n", "markdown")])
    for tenant in ("acme", "other"):
        one = replace(client, tenant=tenant)
        await keeper.settle(tenant, await one.send("docs/a.md", f"# Own\n\nsession of {tenant}\n"))

    async def texts(tenant: str) -> set[str]:
        result = await engine.search(SearchQuery("session", Scope(tenant)))
        assert {hit.passage.path for hit in result.hits} == {"docs/a.md"}
        return {hit.passage.text.split("\n")[-1] for hit in result.hits}

    assert await texts("acme") == {"shared session", "session of acme"}
    await keeper.settle("acme", await client.delete("docs/a.md"))
    assert await texts("acme") == {"shared session"}
    assert await texts("other") == {"shared session", "session of other"}
    await indexer.sync(SHARED_TENANT, [])
    assert await texts("other") == {"session of other"}


class _Interrupted(EdgeStore):
    """An opened store that lets somebody else act just before its next removal of chunks, or its next writing."""

    def __init__(self, opened: EdgeStore, act: Any) -> None:
        self.__dict__.update(opened.__dict__)
        self._act = act

    async def upsert(self, tenant: str, points: Any) -> None:
        await self._interrupt()
        await super().upsert(tenant, points)

    async def delete(self, tenant: str, ids: Collection[Any]) -> None:
        await self._interrupt()
        await super().delete(tenant, ids)

    async def _interrupt(self) -> None:
        act, self._act = self._act, None
        if act:
            await act()


async def test_text_replaced_while_it_is_indexed_is_what_is_found_in_the_end(
    client: Any, keeper: Keeper, indexer: Indexer, edge_store: EdgeStore, engine: SearchEngine
) -> None:
    document = await client.send("a.md", LOGIN)
    store = _Interrupted(edge_store, lambda: client.send("a.md", "# New\n\nnew session\n"))
    keeper = replace(keeper, indexer=replace(indexer, store=store))
    assert await keeper.settle("acme", document) == "indexed"
    assert (await client.row("a.md")).chunks == 1
    result = await engine.search(SearchQuery("session", Scope("acme")))
    assert [hit.passage.text for hit in result.hits] == ["# New\n\nnew session"]


async def test_document_deleted_while_it_is_indexed_is_gone_in_the_end(
    client: Any, keeper: Keeper, indexer: Indexer, edge_store: EdgeStore, engine: SearchEngine
) -> None:
    document = await client.send("a.md", LOGIN)
    store = _Interrupted(edge_store, lambda: client.delete("a.md"))
    assert await replace(keeper, indexer=replace(indexer, store=store)).settle("acme", document) == "deleted"
    assert (await client.row("a.md"), await found(engine, "session"), await client.blobs()) == (None, [], 0)


async def test_same_text_sent_again_while_it_is_deleted_is_there_in_the_end(
    client: Any, keeper: Keeper, indexer: Indexer, edge_store: EdgeStore, engine: SearchEngine
) -> None:
    document = await client.send("a.md", LOGIN)
    await keeper.settle("acme", document)
    await client.delete("a.md")
    store = _Interrupted(edge_store, lambda: client.send("a.md", LOGIN))
    assert await replace(keeper, indexer=replace(indexer, store=store)).settle("acme", document) == "indexed"
    assert set(await found(engine, "session")) == {"a.md"}
    assert await client.blobs() == 2


async def test_chunks_without_a_row_are_removed(client: Any, keeper: Keeper, engine: SearchEngine, bus: Bus) -> None:
    document = await client.send("a.md", LOGIN)
    await keeper.settle("acme", document)
    await bus.purge("KV_documents", "$KV.documents.>")
    assert await keeper.settle("acme", document) == "deleted"
    assert await found(engine, "session") == []
