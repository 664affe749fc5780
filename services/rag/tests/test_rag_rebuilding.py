"""An index with another fingerprint is made under load: the former one answers until the new one takes its place."""

from __future__ import annotations

import asyncio
import shutil
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from qdrant_client import AsyncQdrantClient
from worksite.common.bus import Bus, announce, request
from worksite.common.errors import BusUnavailable
from worksite.common.health import Health
from worksite.common.messages import SearchRequest, SearchResponse
from worksite.common.service import Running
from worksite.rag import main
from worksite.rag.backends.onnx import OnnxEmbedder
from worksite.rag.converting import Converter
from worksite.rag.domain.documents import Point
from worksite.rag.domain.identity import Fingerprint, Manifest
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.embedding_cache import EmbeddingCache
from worksite.rag.following import Follower
from worksite.rag.index import manifest_of
from worksite.rag.lane import Lane
from worksite.rag.loading import load_embedder
from worksite.rag.rebuilding import embedder_of, former_of
from worksite.rag.serving import Serving
from worksite.rag.settings import RagSettings
from worksite.rag.store import Indexes, StoreError
from worksite.rag.stores.edge import EdgeStore
from worksite.rag.stores.edge_indexes import EdgeIndexes
from worksite.rag.stores.server_indexes import ServerIndexes

pytestmark = pytest.mark.asyncio
TOKENS, COFFEE = "# Tokens\n\nRefresh tokens are rotated.\n", "# Coffee\n\nThe tokens of the machine: on Fridays.\n"


class _Held(EdgeStore):
    """An opened store that takes one batch for every time that it may."""

    def __init__(self, opened: EdgeStore, gate: asyncio.Semaphore) -> None:
        self.__dict__.update(opened.__dict__)
        self._gate = gate

    async def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        await self._gate.acquire()
        await super().upsert(tenant, points)


class _HeldIndexes(EdgeIndexes):
    def __init__(self, collection: Path, held: str, gate: asyncio.Semaphore) -> None:
        super().__init__(collection)
        self._held, self._gate = held, gate

    async def open(self, manifest: Manifest) -> EdgeStore:
        store = await super().open(manifest)
        return _Held(store, self._gate) if manifest.digest == self._held else store


@dataclass
class World:
    """Folder and rows that an index is made from, and the process that does."""

    bus: Bus
    client: Any
    root: Path
    embedder: Embedder
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    """Batches that the index of the running process takes."""

    @property
    def settings(self) -> RagSettings:
        return RagSettings(state_dir=self.root.parent / "state", knowledge_dirs=(self.root,))

    def manifest(self, chunker: str) -> Manifest:
        made = manifest_of(self.embedder, str(SHIPPED))
        return replace(made, fingerprint=replace(made.fingerprint, chunker=chunker))

    @asynccontextmanager
    async def serving(self, chunker: str, batches: int = 1000) -> AsyncGenerator[Running, None]:
        """A process with this version of the chunker, once it is ready; its index takes so many batches."""
        micro = await announce(self.bus, "rag", "0.1.0")
        running = Running(self.bus, micro, Health(), asyncio.Event(), asyncio.Event())
        current, self.gate = self.manifest(chunker), asyncio.Semaphore(batches)
        indexes = self.indexes(current)
        cache = EmbeddingCache(self.settings.state_dir / "embeddings.sqlite3", 1 << 20)
        async with aclosing(indexes), aclosing(cache):
            serving = Serving(self.settings, running, indexes, cache, None, Lane())
            former = former_of(await indexes.manifests(), current)
            start = serving.rebuild(former, self.embedder, current, self.embedder) if former else None
            working = asyncio.create_task(start or serving.serve(current, self.embedder))
            ready = asyncio.create_task(running.ready.wait())
            await asyncio.wait({working, ready}, return_when=asyncio.FIRST_COMPLETED)
            try:
                yield running
            finally:
                ready.cancel()
                running.stop.set()
                await asyncio.wait_for(working, 60)
                await micro.stop()

    def indexes(self, current: Manifest) -> Indexes:
        return _HeldIndexes(self.collection, current.digest, self.gate)

    def go_on(self) -> None:
        """Let the index take everything."""
        for _ in range(1000):
            self.gate.release()

    @property
    def collection(self) -> Path:
        return self.settings.state_dir / "worksite"

    def shards(self) -> set[str]:
        return {path.name for path in self.collection.iterdir() if path.is_dir()}

    async def found(self, query: str = "tokens") -> set[str]:
        question = SearchRequest(tenant="acme", query=query)
        answer = await request(self.bus, "rag", "search", question, SearchResponse)
        return {result.path for result in answer.results}

    async def answers(self, *paths: str) -> None:
        async def holds() -> bool:
            return await self.found() == set(paths)

        await until(holds)

    async def indexed(self, path: str) -> int:
        """Waits until a document's row says so; returns how many chunks it names."""

        async def holds() -> bool:
            return (await self.client.row(path)).state == "indexed"

        await until(holds)
        return (await self.client.row(path)).chunks


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.02)


async def is_complete(running: Running) -> bool:
    return running.health.state.get("index") == "complete"


@pytest.fixture
def world(bus: Bus, client: Any, tmp_path: Path, embedder: Embedder) -> World:
    root = tmp_path / "docs"
    root.mkdir()
    (root / "tokens.md").write_text(TOKENS)
    (root / "coffee.md").write_text(COFFEE)
    return World(bus, client, root, embedder)


EVERYTHING = {"docs/tokens.md", "docs/coffee.md", "own.md"}


async def indexed_before(world: World) -> None:
    """A complete index of an earlier version of the chunker, of folders and of a tenant's document."""
    async with world.serving("1"):
        await world.client.hint(await world.client.send("own.md", "# Own\n\nOur tokens.\n"))
        await world.indexed("own.md")


async def test_new_index_takes_the_place_of_the_former_without_a_failed_or_an_empty_answer(
    world: World, embedded: list[str]
) -> None:
    await indexed_before(world)
    embedded.clear()
    async with world.serving("2", batches=1) as running:
        asked = 0

        async def ask() -> None:
            nonlocal asked
            while not await is_complete(running):
                asked += 1
                assert await world.found(f"tokens {asked}") == EVERYTHING

        asking = [asyncio.create_task(ask()) for _ in range(3)]
        await until(lambda: holds(asked >= 20))
        assert world.shards() == {world.manifest("1").digest, world.manifest("2").digest}
        assert running.health.state["index"].startswith("rebuilding: ")
        assert rebuild_chunks() is not None
        world.go_on()
        await asyncio.gather(*asking)
        assert rebuild_chunks() is None
        assert await world.found() == EVERYTHING
        await until(lambda: holds(world.shards() == {world.manifest("2").digest}))
    assert [text for text in embedded if "\n" in text] == []  # one line: a query


def rebuild_chunks() -> float | None:
    return REGISTRY.get_sample_value("rag_rebuild_chunks", {"index": "building"})


async def test_while_former_indexes_are_removed_what_is_saved_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await indexed_before(world)
    removing = asyncio.Event()

    async def slow(*_: object) -> None:
        await removing.wait()

    monkeypatch.setattr(EdgeIndexes, "retire_all_but", slow)
    async with world.serving("2") as running:
        await until(lambda: is_complete(running))
        (world.root / "tea.md").write_text("# Tea\n\nNo tokens.\n")
        try:
            await world.answers(*EVERYTHING, "docs/tea.md")
        finally:
            removing.set()


async def test_former_index_that_cannot_be_removed_stops_nothing_and_goes_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await indexed_before(world)

    async def refused(*_: object) -> None:
        raise OSError("device or resource busy")

    with monkeypatch.context() as patched:
        patched.setattr(EdgeIndexes, "retire_all_but", refused)
        async with world.serving("2"):
            await until(lambda: holds("not removed before the next start: device or resource busy" in caplog.text))
            assert await world.found() == EVERYTHING
    assert len(world.shards()) == 2
    async with world.serving("2"):
        await until(lambda: holds(world.shards() == {world.manifest("2").digest}))


async def test_former_index_that_cannot_be_read_does_not_answer(world: World) -> None:
    await indexed_before(world)
    (world.collection / world.manifest("1").digest / "edge_config.json").write_text("{")
    async with world.serving("2") as running:
        assert await is_complete(running)  # when it is ready: the new index alone answers
        await world.answers(*EVERYTHING)


async def test_all_that_keep_indexes_convert_one_file_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await indexed_before(world)
    made: list[Converter] = []
    initialise = Converter.__init__

    def counted(converter: Converter) -> None:
        made.append(converter)
        initialise(converter)

    monkeypatch.setattr(Converter, "__init__", counted)
    async with world.serving("2") as running:
        await until(lambda: is_complete(running))
    assert len(made) == 1


async def test_reranker_is_loaded_after_the_former_model_since_the_last_one_sets_the_threads_of_torch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    former = replace(world.manifest("1"), complete=True)
    async with aclosing(EdgeIndexes(world.collection)) as indexes:
        await (await indexes.open(former)).close()
        await indexes.note(former)
    loaded: list[str] = []

    async def reranking(*_: object) -> None:
        loaded.append("reranker")
        raise StoreError("far enough")

    monkeypatch.setattr(main, "embedder_of", lambda *_: loaded.append("former"))
    monkeypatch.setattr(main, "_reranking", reranking)
    micro = await announce(world.bus, "rag", "0.1.0")
    with pytest.raises(StoreError, match="far enough"):
        await main._main(world.settings, Running(world.bus, micro, Health(), asyncio.Event(), asyncio.Event()))
    await micro.stop()
    assert loaded == ["former", "reranker"]


async def test_collection_of_a_server_is_replaced_in_the_same_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = AsyncQdrantClient(":memory:")
    monkeypatch.setattr(client, "close", _nothing)  # it is all that these collections live in
    monkeypatch.setattr(World, "indexes", lambda *_: ServerIndexes(client, "worksite"))
    with warnings.catch_warnings():  # the local mode warns that it has no payload indexes
        warnings.simplefilter("ignore", UserWarning)
        await indexed_before(world)
        async with world.serving("2") as running:
            while not await is_complete(running):
                assert await world.found() == EVERYTHING
            assert await world.found() == EVERYTHING
    collections = (await client.get_collections()).collections
    assert [one.name for one in collections] == [f"worksite-{world.manifest('2').digest}"]


async def _nothing() -> None:
    pass


async def test_what_is_saved_sent_and_deleted_meanwhile_is_so_in_both_indexes(world: World) -> None:
    await indexed_before(world)
    async with world.serving("2", batches=1) as running:
        assert await world.found() == EVERYTHING
        (world.root / "coffee.md").unlink()
        (world.root / "tea.md").write_text("# Tea\n\nNo tokens.\n")
        await world.client.hint(await world.client.send("new.md", "# New\n\nNew tokens.\n"))
        await world.answers("docs/tokens.md", "docs/tea.md", "own.md", "new.md")
        await world.client.hint(await world.client.delete("own.md"))
        await world.answers("docs/tokens.md", "docs/tea.md", "new.md")
        assert not await is_complete(running)
        world.go_on()
        await until(lambda: is_complete(running))
        assert await world.found() == {"docs/tokens.md", "docs/tea.md", "new.md"}
        assert await world.client.row("own.md") is None


async def test_stopped_in_the_middle_the_next_start_answers_from_the_former_index_and_goes_on(world: World) -> None:
    (world.root / "long.md").write_text("".join(f"# Heading {n}\n\nParagraph {n}.\n\n" for n in range(40)))
    await indexed_before(world)
    before = {world.manifest("1").digest, world.manifest("2").digest}
    async with world.serving("2", batches=2) as running:
        await until(lambda: holds("rebuilding: 17 of" in running.health.state.get("index", "")))
        assert world.shards() == before
    async with world.serving("2", batches=0) as running:
        assert await world.found() >= EVERYTHING
        assert world.shards() == before
        world.go_on()
        await until(lambda: is_complete(running))
        assert await world.found() >= EVERYTHING
        assert world.gate._value >= 996  # what was stored before is not stored again


async def test_start_after_a_rebuild_that_was_given_up_answers_from_the_index_that_is_complete(world: World) -> None:
    await indexed_before(world)
    async with world.serving("2", batches=1):
        pass
    async with world.serving("1", batches=0) as running:
        assert await world.found() == EVERYTHING
        await until(lambda: is_complete(running))
        await until(lambda: holds(world.shards() == {world.manifest("1").digest}))


async def test_copy_of_the_index_that_is_put_back_answers_for_nothing_deleted_and_gets_what_was_replaced(
    world: World, embedded: list[str]
) -> None:
    await world.client.send("replaced.md", "# Replaced\n\nOld tokens.\n")
    await indexed_before(world)
    copy = world.collection.with_name("copy")
    shutil.copytree(world.collection, copy)
    async with world.serving("1"):
        await world.client.hint(await world.client.delete("own.md"), await world.client.send("replaced.md", NEW))
        await until(lambda: is_without_row(world, "own.md"))
        await world.indexed("replaced.md")
    shutil.rmtree(world.collection)
    copy.rename(world.collection)
    embedded.clear()
    async with world.serving("1"):
        assert "own.md" not in await world.found()
        await until(lambda: is_found(world, "New tokens."))
    assert [text for text in embedded if "\n" in text] == []


NEW = "# Replaced\n\nNew tokens.\n"


async def is_without_row(world: World, path: str) -> bool:
    return await world.client.row(path) is None


async def is_found(world: World, text: str) -> bool:
    question = SearchRequest(tenant="acme", query="tokens")
    answer = await request(world.bus, "rag", "search", question, SearchResponse)
    return any(text in result.text for result in answer.results)


async def test_new_index_waits_for_a_folder_that_is_not_there(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worksite.rag.rebuilding.backoff", lambda _: 0.01)
    await indexed_before(world)
    world.root.rename(world.root.with_name("unmounted"))
    async with world.serving("2") as running:
        await until(lambda: holds("waits for folders that are not there: docs" in caplog.text))
        assert await world.found() == EVERYTHING
        world.root.with_name("unmounted").rename(world.root)
        await until(lambda: is_complete(running))
        assert await world.found() == EVERYTHING


async def test_rows_that_cannot_be_read_hold_the_new_index_back_until_they_can(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("worksite.rag.rebuilding.backoff", lambda _: 0.01)
    await indexed_before(world)
    look, away = Follower.look, True

    async def looking(follower: Follower) -> None:
        if away:
            raise BusUnavailable("the bus is away")
        await look(follower)

    monkeypatch.setattr(Follower, "look", looking)
    async with world.serving("2") as running:
        await until(lambda: holds("not complete yet: the bus is away" in caplog.text))
        assert await world.found() == EVERYTHING
        away = False
        await until(lambda: is_complete(running))
        assert await world.found() == EVERYTHING


async def holds(true: bool) -> bool:
    return true


def manifest(chunker: str, *, complete: bool) -> Manifest:
    return Manifest(Fingerprint("m", "t", chunker, "s"), "/models/m", complete=complete)


@pytest.mark.parametrize(
    ("known", "former"),
    [
        ([], None),
        ([manifest("2", complete=True)], None),
        ([manifest("2", complete=True), manifest("1", complete=True)], None),
        ([manifest("1", complete=False)], None),
        ([manifest("1", complete=True)], manifest("1", complete=True)),
        ([manifest("2", complete=False), manifest("1", complete=True)], manifest("1", complete=True)),
    ],
)
async def test_former_index_is_a_complete_one_while_the_current_one_is_not(
    known: list[Manifest], former: Manifest | None
) -> None:
    assert former_of(known, manifest("2", complete=False)) == former


async def test_model_of_the_former_index_is_loaded_from_its_folder_if_it_is_still_the_same(
    embedder: Embedder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def load(manifest: Manifest) -> Embedder:
        return load_embedder(manifest.embedder, 1)

    former = manifest_of(embedder, str(SHIPPED))
    assert embedder_of(former, embedder, load) is embedder
    elsewhere = tmp_path / "model"
    shutil.copytree(SHIPPED, elsewhere)
    (elsewhere / "tokenizer.json").write_text((SHIPPED / "tokenizer.json").read_text() + "\n")
    current = OnnxEmbedder(elsewhere, 1)
    loaded = embedder_of(former, current, load)
    assert loaded
    assert loaded.tokenizer_hash == embedder.tokenizer_hash
    assert embedder_of(replace(former, embedder=str(elsewhere)), current, load) is None
    assert "holds another model now" in caplog.text
    assert embedder_of(replace(former, embedder=str(tmp_path / "gone")), current, load) is None
    assert "the model of the former index cannot be loaded" in caplog.text
