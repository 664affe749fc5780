"""Answers searches from one index after another, and keeps each equal to what it is made from."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from worksite.common import bus, service, subjects
from worksite.common.artifacts import Artifacts
from worksite.common.messages import SearchRequest
from worksite.rag.answering import Answering
from worksite.rag.converting import Converter
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
from worksite.rag.store import Indexes
from worksite.rag.stores.sparse import SparseEncoder
from worksite.rag.upkeep import Upkeep

log = logging.getLogger(__name__)


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
    converter: Converter = field(default_factory=Converter)

    async def serve(self, current: Manifest, embedder: Embedder) -> None:
        """Make the current index, or bring it up to date, and then answer from it."""
        async with self._opened(current, embedder) as upkeep:
            await self._serve(current, upkeep)

    async def rebuild(self, former: Manifest, model: Embedder, current: Manifest, embedder: Embedder) -> None:
        """Answer from the former index, if it can still be read, while the current one is made, and then from that."""
        async with self._opened(current, embedder) as upkeep:
            async with self._opened(former, model) as old:
                is_whole = former in await self.indexes.manifests()  # a shard that cannot be read was made anew, empty
                if is_whole and not await self._rebuilt(current, upkeep, old):
                    return
            await (self._keep if is_whole else self._serve)(current, upkeep)

    async def _serve(self, current: Manifest, upkeep: Upkeep) -> None:
        if await self._answering(upkeep):
            await self._keep(current, upkeep)

    @asynccontextmanager
    async def _opened(self, manifest: Manifest, embedder: Embedder) -> AsyncGenerator[Upkeep]:
        store = await self.indexes.open(manifest)
        try:
            name = f"{self.settings.rag_collection}-{manifest.digest}"
            indexer = Indexer(embedder, self.encoder, store, name, self.lane, self.cache)
            async with Upkeep(self.settings, self.running, indexer, self.converter) as upkeep:
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

    async def _rebuilt(self, current: Manifest, upkeep: Upkeep, old: Upkeep) -> bool:
        """True once the current index answers alone; False when told to stop before."""
        answering = await self._answering(old)
        if not answering:
            return False
        texts = Artifacts(self.running.bus, store=subjects.KNOWLEDGE)
        follower = Follower(self._rows, texts, upkeep.indexer, self.converter)
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
        self.running.health.state["index"] = "complete"
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._retire_all_but(current))  # which may take seconds, and changes are not to wait
            await upkeep.run(self.running.stop)
            await self.running.micro.stop()

    async def _retire_all_but(self, current: Manifest) -> None:
        """What fails costs no more than room on the disk, until the next start tries again."""
        try:
            await self.indexes.note(replace(current, complete=True))
            await self.indexes.retire_all_but(current)
        except Exception as error:  # the boundary: each store has errors of its own
            log.warning("former indexes are not removed before the next start: %s", error or repr(error))

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
