"""kill -9 at every point of a document's life: nothing is lost, nothing is there twice, nothing is left over."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import pytest
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, KeyValue
from worksite.common.messages import document_id
from worksite.common.subjects import DOCUMENTS, KNOWLEDGE
from worksite.rag.domain.documents import Document
from worksite.rag.domain.queries import Scope
from worksite.rag.index import Indexer
from worksite.rag.keeper import Keeper
from worksite.rag.reconciling import Reconciler
from worksite.rag.stores.edge import EdgeStore

pytestmark = [pytest.mark.proof, pytest.mark.asyncio]
T = TypeVar("T")
Moment = Literal["before", "after"]
TEXTS = (
    "# Login\n\nA session ends after fifteen minutes.\n\n# Same\n\nsame\n\n# Same\n\nsame\n",
    "# Preface\n\nnew\n\n# Login\n\nA session ends after an hour.\n\n# Same\n\nsame\n",
)


class Killed(BaseException):
    """The process is gone; no handler of an Exception may notice."""


@dataclass
class Fate:
    """Counts what the process does to the world and ends it at the n-th."""

    left: int = 0
    when: Moment = "before"
    acts: int = 0

    async def meets(self, act: Awaitable[T]) -> T:
        self.acts += 1
        now = self.acts == self.left
        if now and self.when == "before":
            act.close()  # pyright: ignore[reportAttributeAccessIssue]  # a coroutine that never ran
            raise Killed
        result = await act
        if now:
            raise Killed
        return result


class MortalBus(Bus):
    fate: Fate

    async def publish_raw(self, *args: Any, **kwargs: Any) -> Any:
        return await self.fate.meets(super().publish_raw(*args, **kwargs))

    async def request_raw(self, *args: Any, **kwargs: Any) -> Any:
        return await self.fate.meets(super().request_raw(*args, **kwargs))

    async def read(self, *args: Any, **kwargs: Any) -> Any:
        return await self.fate.meets(super().read(*args, **kwargs))


class MortalStore(EdgeStore):
    def __init__(self, opened: EdgeStore, fate: Fate) -> None:
        self.__dict__.update(opened.__dict__)
        self.fate = fate

    async def upsert(self, *args: Any) -> None:
        await self.fate.meets(super().upsert(*args))

    async def replace_passages(self, *args: Any) -> None:
        await self.fate.meets(super().replace_passages(*args))

    async def delete(self, *args: Any) -> None:
        await self.fate.meets(super().delete(*args))


class Process:
    """Looks at everything and settles what it finds, again and again after each death."""

    def __init__(self, bus: MortalBus, indexer: Indexer, opened: EdgeStore) -> None:
        self.fate = bus.fate = Fate()
        store = MortalStore(opened, self.fate)
        texts = Artifacts(bus, store=KNOWLEDGE)
        keeper = Keeper(KeyValue(bus, DOCUMENTS), texts, Indexer(indexer.embedder, indexer.encoder, store, "i"))
        self._keeper = keeper
        self._reconciler = Reconciler(keeper.rows, texts, store, self)  # pyright: ignore[reportArgumentType]
        self._found: list[tuple[str, str]] = []
        self.deaths = 0

    def add(self, tenant: str, document: str, since: float | None = None) -> None:
        self._found.append((tenant, document))

    async def agrees(self) -> None:
        while True:
            try:
                await self._look()
                return
            except Killed:
                self.deaths += 1

    async def _look(self) -> None:
        self._found.clear()
        await self._reconciler.look(datetime.now(UTC) + timedelta(days=1))
        for found in self._found:
            await self._keeper.settle(*found)


async def a_life(client: Any, process: Process, indexer: Indexer, path: str) -> None:
    """Sent, replaced, deleted; each time the index holds just what it would without any death."""
    for text in TEXTS:
        await client.send(path, text)
        await process.agrees()
        row = await client.row(path)
        assert (row.state, row.chunks) == ("indexed", 3)
        assert await passages(indexer, path) == await expected(indexer, path, text)
        await process.agrees()
        assert await client.blobs() == 2
    await client.delete(path)
    await process.agrees()
    assert await client.row(path) is None
    assert await passages(indexer, path) == []
    assert await client.blobs() == 0


async def passages(indexer: Indexer, path: str, tenant: str = "acme") -> list[tuple[int, str]]:
    ids = (await indexer.store.revisions(tenant, path)).get(path, {})
    found = await indexer.store.passages(Scope(tenant), ids)
    return sorted((passage.start_line, passage.text) for passage in found.values())


async def expected(indexer: Indexer, path: str, text: str) -> list[tuple[int, str]]:
    """What a tenant without any trouble has of the same text."""
    await indexer.put("calm", Document(path, text, "markdown"))
    found = await passages(indexer, path, "calm")
    await indexer.remove("calm", path)
    return found


@pytest.mark.parametrize("when", ["before", "after"])
async def test_process_killed_at_any_point_leaves_everything_as_if_it_had_lived(
    nats_server: Any, client: Any, indexer: Indexer, edge_store: EdgeStore, when: Moment
) -> None:
    bus = await MortalBus.connect(client.bus.settings)
    process = Process(bus, indexer, edge_store)
    await a_life(client, process, indexer, "calm.md")
    points = process.fate.acts
    assert points >= 40  # rows, texts, chunks and blobs: read, written and removed

    for point in range(1, points + 1):
        process.fate.left, process.fate.when, process.fate.acts = point, when, 0
        await a_life(client, process, indexer, f"{point}.md")

    await bus.close()
    assert process.deaths == points


async def test_hint_for_a_document_that_is_done_changes_nothing(
    client: Any, keeper: Keeper, indexer: Indexer, edge_store: EdgeStore
) -> None:
    bus = await MortalBus.connect(client.bus.settings)
    process = Process(bus, indexer, edge_store)
    await client.send("a.md", TEXTS[0])
    await process.agrees()
    before = await client.rows.get(f"acme.{document_id('a.md')}")
    await process.agrees()
    assert await client.rows.get(f"acme.{document_id('a.md')}") == before
    await bus.close()
