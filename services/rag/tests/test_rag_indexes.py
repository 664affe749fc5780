"""The indexes of a collection, each with its manifest; one contract for the embedded store and the server's client."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse
from worksite.rag.domain.identity import Fingerprint, Manifest
from worksite.rag.store import Indexes, StoreError
from worksite.rag.stores.edge import open_edge_store
from worksite.rag.stores.edge_indexes import EdgeIndexes
from worksite.rag.stores.server import connect, open_server_store
from worksite.rag.stores.server_indexes import ServerIndexes

pytestmark = pytest.mark.asyncio
OLD = Manifest(Fingerprint("model", "tokenizer", "1", "bm25"), "/models/old", complete=True)
NEW = Manifest(Fingerprint("model", "tokenizer", "2", "bm25"), "/models/new")


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():  # the local mode warns that it has no payload indexes
        warnings.simplefilter("ignore", UserWarning)
        yield


@pytest_asyncio.fixture(params=["edge", "server"])
async def indexes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Indexes, None]:
    if request.param == "edge":
        opened: Indexes = EdgeIndexes(tmp_path / "worksite")
    else:
        opened = ServerIndexes(AsyncQdrantClient(":memory:"), "worksite")
    yield opened
    await opened.aclose()


async def test_index_keeps_the_manifest_that_it_was_made_with_until_another_is_noted(indexes: Indexes) -> None:
    assert await indexes.manifests() == []
    await (await indexes.open(NEW)).close()
    await (await indexes.open(replace(NEW, embedder="/elsewhere"))).close()
    assert await indexes.manifests() == [NEW]
    await indexes.note(replace(NEW, complete=True))
    assert await indexes.manifests() == [replace(NEW, complete=True)]


async def test_index_that_is_made_now_is_not_complete_whatever_its_manifest_says(indexes: Indexes) -> None:
    await (await indexes.open(OLD)).close()
    assert await indexes.manifests() == [replace(OLD, complete=False)]


async def test_two_indexes_are_open_at_once_and_one_survives_the_end_of_the_other(indexes: Indexes) -> None:
    old, new = await indexes.open(OLD), await indexes.open(NEW)
    assert {one.digest for one in await indexes.manifests()} == {OLD.digest, NEW.digest}
    await old.close()
    await indexes.retire_all_but(NEW)
    assert await indexes.manifests() == [NEW]
    assert await new.counts() == {}
    await new.close()


async def test_retired_shards_are_gone_and_nothing_else_is(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path)
    for manifest in (OLD, NEW):
        await (await indexes.open(manifest)).close()
    (tmp_path / "notes").mkdir()
    (tmp_path / "0123456789abcdef.json").write_text("{}")
    await indexes.retire_all_but(NEW)
    left = {NEW.digest, f"{NEW.digest}.json", "notes", "owner.pid"}
    assert {path.name for path in tmp_path.iterdir()} == left  # noqa: ASYNC240
    await indexes.aclose()


async def test_collections_of_other_names_are_not_retired() -> None:
    client = AsyncQdrantClient(":memory:")
    await open_server_store(client, "worksite_2", OLD.digest)
    indexes = ServerIndexes(client, "worksite")
    for manifest in (OLD, NEW):
        await indexes.open(manifest)
    await indexes.retire_all_but(NEW)
    kept = {collection.name for collection in (await client.get_collections()).collections}
    assert kept == {f"worksite-{NEW.digest}", f"worksite_2-{OLD.digest}"}
    await indexes.aclose()


async def test_folder_is_owned_as_long_as_the_indexes_are_open(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path)
    await (await indexes.open(NEW)).close()
    with pytest.raises(StoreError, match="in use by another process"):
        EdgeIndexes(tmp_path)
    await indexes.aclose()
    await open_edge_store(tmp_path, NEW.digest).close()


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"fingerprint": {"model": 1}}'])
async def test_index_whose_manifest_cannot_be_read_is_taken_for_one_without(tmp_path: Path, damage: str) -> None:
    indexes = EdgeIndexes(tmp_path)
    await (await indexes.open(OLD)).close()
    (tmp_path / f"{OLD.digest}.json").write_text(damage)
    assert await indexes.manifests() == []
    await indexes.aclose()


async def test_shard_that_cannot_be_read_is_not_complete_any_more(tmp_path: Path) -> None:
    indexes = EdgeIndexes(tmp_path)
    await (await indexes.open(OLD)).close()
    await indexes.note(OLD)
    (tmp_path / OLD.digest / "edge_config.json").write_text("{")
    await (await indexes.open(OLD)).close()
    assert await indexes.manifests() == [replace(OLD, complete=False)]
    await indexes.aclose()


class _Shared(AsyncQdrantClient):
    """Of a server where another replica removes some collections as soon as they have been listed."""

    removed = ""

    async def get_collection(self, collection_name: str, **more: Any) -> models.CollectionInfo:
        if collection_name == self.removed:
            raise UnexpectedResponse(404, "Not Found", b"", httpx.Headers())
        return await super().get_collection(collection_name, **more)


async def test_collection_that_another_replica_removes_meanwhile_is_no_index_any_more() -> None:
    client = _Shared(":memory:")
    indexes = ServerIndexes(client, "worksite")
    for manifest in (OLD, NEW):
        await indexes.open(manifest)
    client.removed = f"worksite-{OLD.digest}"
    assert await indexes.manifests() == [NEW]
    await indexes.aclose()


async def test_server_that_cannot_be_reached_is_reported_with_its_setting() -> None:
    indexes = ServerIndexes(connect("127.0.0.1", 1, None), "worksite")
    with pytest.raises(StoreError, match="QDRANT_HOST: the server cannot be used"):
        await indexes.manifests()
    await indexes.aclose()
