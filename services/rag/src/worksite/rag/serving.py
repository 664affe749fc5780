"""Answers searches from one index after another, and keeps each equal to what it is made from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from worksite.common import bus, service, subjects
from worksite.common.artifacts import Artifacts
from worksite.common.messages import SearchRequest
from worksite.rag.answering import Answering
from worksite.rag.domain.identity import Manifest
from worksite.rag.embedder import Embedder
from worksite.rag.embedding_cache import EmbeddingCache
from worksite.rag.following import Follower
from worksite.rag.handlers import search_endpoint
from worksite.rag.index import Indexer
from worksite.rag.lane import Lane
from worksite.rag.rebuilding import Rebuild
from worksite.rag.reconciling import remove_deleted
from worksite.rag.reranking import Reranking
from worksite.rag.search import SearchEngine
from worksite.rag.settings import RagSettings
from worksite.rag.sparse import SparseEncoder
from worksite.rag.store import Indexes
from worksite.rag.upkeep import Upkeep


@dataclass(frozen=True, slots=True)
class Serving:
    """What every index of this process is made, kept and asked with. Its calls return when told to stop."""

    settings: RagSettings
    running: service.Running
    indexes: Indexes
    cache: EmbeddingCache
    reranking: Reranking | None
    lane: Lane
    encoder: SparseEncoder = field(default_factory=SparseEncoder)

    async def serve(self, current: Manifest, embedder: Embedder) -> None:
        """Make the current index, or bring it up to date, and then answer from it."""
        async with self._opened(current, embedder) as upkeep:
            if await self._answering(upkeep):
                await self.indexes.note(replace(current, complete=True))
                await self._keep(current, upkeep)

    async def rebuild(self, former: Manifest, model: Embedder, current: Manifest, embedder: Embedder) -> None:
        """Answer from the former index while the current one is made, and then from that."""
        async with self._opened(current, embedder) as upkeep:
            async with self._opened(former, model) as old:
                answering = await self._answering(old)
                if not answering or not await self._rebuilt(current, upkeep, old, answering):
                    return
            await self._keep(current, upkeep)

    @asynccontextmanager
    async def _opened(self, manifest: Manifest, embedder: Embedder) -> AsyncGenerator[Upkeep]:
        store = await self.indexes.open(manifest)
        try:
            name = f"{self.settings.rag_collection}-{manifest.digest}"
            indexer = Indexer(embedder, self.encoder, store, name, self.lane, self.cache)
            async with Upkeep(self.settings, self.running, indexer) as upkeep:
                yield upkeep
        finally:
            await store.close()

    async def _answering(self, upkeep: Upkeep) -> Answering | None:
        """Answers, from when nothing stale is found any more; None when told to stop before."""
        if not await self._finished(asyncio.create_task(self._prepared(upkeep))):
            return None
        answering = Answering(self._engine(upkeep.indexer))
        await bus.answer(self.running.micro, "search", SearchRequest, search_endpoint(answering))
        self.running.ready.set()
        return answering

    async def _prepared(self, upkeep: Upkeep) -> None:
        await upkeep.fill()
        await remove_deleted(self._rows, upkeep.indexer)

    @property
    def _rows(self) -> bus.KeyValue:
        return bus.KeyValue(self.running.bus, subjects.DOCUMENTS)

    async def _rebuilt(self, current: Manifest, upkeep: Upkeep, old: Upkeep, answering: Answering) -> bool:
        """True once the current index answers alone; False when told to stop before."""
        follower = Follower(self._rows, Artifacts(self.running.bus, store=subjects.KNOWLEDGE), upkeep.indexer)
        rebuilding = Rebuild(self.indexes, current, upkeep, follower, old.indexer, self.running.health.state)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(old.run(over, follower.add))
            replaced = tasks.create_task(rebuilding.run(answering, self._engine(upkeep.indexer)))
            is_replaced = await self._finished(replaced)
            over.set()
        if not is_replaced:
            await self.running.micro.stop()
        return is_replaced

    async def _keep(self, current: Manifest, upkeep: Upkeep) -> None:
        await self.indexes.retire_all_but(current)
        self.running.health.state["index"] = "complete"
        await upkeep.run(self.running.stop)
        await self.running.micro.stop()

    def _engine(self, indexer: Indexer) -> SearchEngine:
        alpha = self.settings.rag_alpha
        return SearchEngine(indexer.embedder, self.encoder, indexer.store, alpha, self.lane, self.reranking)

    async def _finished(self, task: asyncio.Task[None]) -> bool:
        """False when told to stop first; the task is cancelled then, which an index takes as well as a kill."""
        stopping = asyncio.create_task(self.running.stop.wait())
        await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if task.cancel():
            return False
        task.result()
        return True
