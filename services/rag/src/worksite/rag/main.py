"""The RAG engine's process: open the index, bring it up to date, answer searches, keep tenants' documents."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from worksite.common import bus, service
from worksite.common.messages import SHARED_TENANT, SearchRequest
from worksite.rag.backend import Backend
from worksite.rag.converting import Converter
from worksite.rag.embedder import Embedder
from worksite.rag.folders import Folder
from worksite.rag.handlers import search_endpoint
from worksite.rag.index import Indexer, fingerprint_of
from worksite.rag.lane import Lane
from worksite.rag.library import Library
from worksite.rag.loading import backend_named, load_embedder, load_reranker
from worksite.rag.reranking import Reranking
from worksite.rag.search import SearchEngine
from worksite.rag.settings import RagSettings
from worksite.rag.sources import blueprints_in
from worksite.rag.sparse import SparseEncoder
from worksite.rag.store import VectorStore
from worksite.rag.stores import edge
from worksite.rag.tenants import keep_documents
from worksite.rag.watching import Watcher

log = logging.getLogger(__name__)


def main() -> None:
    """Entry point of the process."""
    service.run("rag", RagSettings, _main)


async def _main(settings: RagSettings, running: service.Running) -> None:
    backend = await asyncio.to_thread(backend_named, settings.rag_backend)
    embedder = await _embedder(settings, backend, running)
    encoder, fingerprint = SparseEncoder(), fingerprint_of(embedder).digest()
    lane = Lane(settings.rag_embedder_threads)  # texts side by side: they gain more than each does by threads
    async with _opened_store(settings, fingerprint, embedder.dimensions) as store:
        indexer = Indexer(embedder, encoder, store, f"{settings.rag_collection}-{fingerprint}", lane)
        folders = [Folder(folder.resolve()) for folder in settings.knowledge_dirs]
        converter = Converter()
        library = Library(indexer, folders, converter, running.health.state)
        async with Watcher(library) as watcher:  # from before the first look, so that nothing happens in between
            indexing = asyncio.create_task(_index(settings, indexer, library))
            if not await _finished(indexing, running.stop):
                return
            await store.retire_others()
            reranking = await _reranking(settings, backend, running)
            engine = SearchEngine(embedder, encoder, store, settings.rag_alpha, lane, reranking)
            await bus.answer(running.micro, "search", SearchRequest, search_endpoint(engine))
            running.ready.set()
            await _keep(settings, running, indexer, converter, watcher)
            await running.micro.stop()


async def _keep(
    settings: RagSettings, running: service.Running, indexer: Indexer, converter: Converter, watcher: Watcher
) -> None:
    """Keep the index equal to folders and to tenants' documents, until told to stop."""
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watcher.run())
        await keep_documents(settings, running, indexer, converter)
        watching.cancel()


async def _embedder(settings: RagSettings, backend: Backend, running: service.Running) -> Embedder:
    name = settings.rag_embedder_path or backend.default_embedder
    embedder = await asyncio.to_thread(load_embedder, name, 1, backend)
    running.health.state["embedder"] = f"{Path(name).name} {embedder.model_hash[:12]} by {backend.name}"
    return embedder


async def _reranking(settings: RagSettings, backend: Backend, running: service.Running) -> Reranking | None:
    threads = settings.rag_embedder_threads
    model, source = await asyncio.to_thread(load_reranker, settings.rag_reranker, threads, backend)
    running.health.state["reranker"] = source
    if not model:
        return None
    return Reranking(model, settings.rag_rerank_weight, settings.rag_rerank_seconds, settings.rag_rerank_tokens)


@asynccontextmanager
async def _opened_store(settings: RagSettings, fingerprint: str, dimensions: int) -> AsyncGenerator[VectorStore, None]:
    if settings.qdrant_host:
        from worksite.rag.stores import server  # its client takes a second to import: only who uses it pays

        client = server.connect(settings.qdrant_host, settings.qdrant_port, settings.qdrant_api_key)
        store: VectorStore = await server.open_server_store(client, settings.rag_collection, fingerprint, dimensions)
    else:
        folder = settings.state_dir / settings.rag_collection
        store = await asyncio.to_thread(edge.open_edge_store, folder, fingerprint, dimensions)
    try:
        yield store
    finally:
        await store.close()


async def _index(settings: RagSettings, indexer: Indexer, library: Library) -> None:
    blueprints = settings.blueprints_dir.resolve() if settings.blueprints_dir else None
    await library.open(others=[blueprints.name] if blueprints else [])
    await library.sweep()
    if blueprints:
        report = await indexer.sync(SHARED_TENANT, blueprints_in(blueprints), below=blueprints.name)
        log.info("blueprints are up to date: %s", report)


async def _finished(task: asyncio.Task[None], stop: asyncio.Event) -> bool:
    """False when told to stop first; the task is cancelled then, which the index takes as well as a kill."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if task.cancel():
        return False
    task.result()
    return True


if __name__ == "__main__":
    main()
