"""The RAG engine's process: load the models, open the indexes, answer searches, keep what they are made from."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path

from worksite.common import service
from worksite.rag.backend import Backend
from worksite.rag.domain.identity import Manifest
from worksite.rag.embedder import Embedder
from worksite.rag.embedding_cache import EmbeddingCache
from worksite.rag.index import manifest_of
from worksite.rag.lane import Lane
from worksite.rag.loading import backend_named, load_embedder, load_reranker
from worksite.rag.rebuilding import embedder_of, former_of
from worksite.rag.reranking import Reranking
from worksite.rag.serving import Serving
from worksite.rag.settings import EMBEDDINGS, RagSettings
from worksite.rag.store import Indexes
from worksite.rag.stores.edge_indexes import EdgeIndexes


def main() -> None:
    """Entry point of the process."""
    service.run("rag", RagSettings, _main)


async def _main(settings: RagSettings, running: service.Running) -> None:
    backend = await asyncio.to_thread(backend_named, settings.rag_backend)
    name = settings.rag_embedder_path or backend.default_embedder
    embedder = await asyncio.to_thread(load_embedder, name, 1, backend)
    state = running.health.state
    state["embedder"] = f"{Path(name).name} {embedder.model_hash[:12]} by {backend.name}"
    indexes = await asyncio.to_thread(_indexes, settings)
    cache = EmbeddingCache(settings.state_dir / EMBEDDINGS, settings.max_embedding_cache_bytes)
    async with aclosing(indexes), aclosing(cache):
        current = await asyncio.to_thread(manifest_of, embedder, name)
        former = former_of(await indexes.manifests(), current)
        model = await asyncio.to_thread(embedder_of, former, embedder, _loaded) if former else None
        reranking = await _reranking(settings, backend, running)  # the last: torch has one number of threads for all
        lane = Lane(settings.rag_embedder_threads)  # texts side by side: they gain more than each does by threads
        serving = Serving(settings, running, indexes, cache, reranking, lane)
        if former and model:
            await serving.rebuild(former, model, current, embedder)
            return
        if former:
            state["index"] = "a new one is made, and searches wait for it: the model of the former one is gone"
        await serving.serve(current, embedder)


def _loaded(manifest: Manifest) -> Embedder:
    return load_embedder(manifest.embedder, 1, backend_named(manifest.backend))


def _indexes(settings: RagSettings) -> Indexes:
    if not settings.qdrant_host:
        return EdgeIndexes(settings.state_dir / settings.rag_collection)
    from worksite.rag.stores import server, server_indexes  # its client takes a second to import: only who uses it pays

    client = server.connect(settings.qdrant_host, settings.qdrant_port, settings.qdrant_api_key)
    return server_indexes.ServerIndexes(client, settings.rag_collection)


async def _reranking(settings: RagSettings, backend: Backend, running: service.Running) -> Reranking | None:
    threads = settings.rag_embedder_threads
    model, source = await asyncio.to_thread(load_reranker, settings.rag_reranker, threads, backend)
    running.health.state["reranker"] = source
    if not model:
        return None
    return Reranking(model, settings.rag_rerank_weight, settings.rag_rerank_seconds, settings.rag_rerank_tokens)


if __name__ == "__main__":
    main()
