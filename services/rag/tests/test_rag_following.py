"""An index that does not answer yet holds what rows say, and no row is changed for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from worksite.common.errors import BusUnavailable
from worksite.rag.domain.documents import Document
from worksite.rag.following import Follower
from worksite.rag.index import Indexer
from worksite.rag.keeper import Keeper
from worksite.rag.stores.edge import open_edge_store

pytestmark = pytest.mark.asyncio
TEXT = "# Tokens\n\nThey are rotated.\n\n# Lifetime\n\nFifteen minutes.\n"


@pytest_asyncio.fixture
async def follower(keeper: Keeper, tmp_path: Path) -> AsyncGenerator[Follower, None]:
    store = open_edge_store(tmp_path / "new", "fedcba9876543210")
    yield Follower(keeper.rows, keeper.texts, replace(keeper.indexer, store=store, index="new"))
    await store.close()


async def chunks(indexer: Indexer) -> dict[str, int]:
    return (await indexer.store.counts()).get("acme", {})


async def test_queued_and_indexed_documents_are_indexed_and_their_rows_stay(
    client: Any, keeper: Keeper, follower: Follower, embedded: list[str]
) -> None:
    await keeper.settle("acme", await client.send("indexed.md", TEXT))
    await client.send("queued.md", TEXT)
    before = await keeper.rows.entries()
    await follower.look()
    assert await chunks(follower.indexer) == {"indexed.md": 2, "queued.md": 2}
    assert await keeper.rows.entries() == before
    embedded.clear()
    await follower.look()
    assert embedded == []


async def test_what_is_deleted_failed_or_without_a_row_is_removed(
    client: Any, keeper: Keeper, follower: Follower, embedded: list[str]
) -> None:
    await client.send("deleting.md", TEXT)
    await client.send("failed.md", TEXT)
    await follower.look()
    await follower.indexer.put("acme", Document("left.md", TEXT, "markdown"))
    await client.delete("deleting.md")
    await keeper.settle("acme", await client.send("failed.md", "", blob=b"no text"))
    assert (await client.row("failed.md")).state == "failed"
    await follower.look()
    assert await chunks(follower.indexer) == {}


async def test_what_is_deleted_or_failed_is_removed_without_reading_all_that_its_tenant_has(
    client: Any, keeper: Keeper, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.send("deleting.md", TEXT)
    await client.send("failed.md", TEXT)
    await follower.look()
    await client.delete("deleting.md")
    await keeper.settle("acme", await client.send("failed.md", "", blob=b"no text"))
    store, read = type(follower.indexer.store), list[str | None]()
    revisions = store.revisions

    async def noted(self: Any, tenant: str, path: str | None = None) -> Any:
        read.append(path)
        return await revisions(self, tenant, path)

    monkeypatch.setattr(store, "revisions", noted)
    await follower.look()
    assert sorted(map(str, read)) == ["deleting.md", "failed.md"]
    assert await chunks(follower.indexer) == {}


async def test_replaced_text_takes_the_place_of_the_one_before(client: Any, follower: Follower) -> None:
    await client.send("a.md", TEXT)
    await follower.look()
    follower.add("acme", await client.send("a.md", "# New\n\ntext\n"))
    await follower.catch_up()
    assert await chunks(follower.indexer) == {"a.md": 1}


async def test_document_that_cannot_be_indexed_stops_no_other(client: Any, follower: Follower) -> None:
    await client.send("bad.md", "", blob=b"no text")
    await client.send("good.md", TEXT)
    await follower.look()
    assert await chunks(follower.indexer) == {"good.md": 2}


async def test_document_that_could_not_be_looked_at_is_looked_at_again(
    client: Any, follower: Follower, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower.add("acme", await client.send("a.md", TEXT))

    async def away(*_: object) -> None:
        raise BusUnavailable("the bus is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(follower.texts), "get", away)
        with pytest.raises(BusUnavailable):
            await follower.catch_up()
    await follower.catch_up()
    assert await chunks(follower.indexer) == {"a.md": 2}
