"""Answers `embed`: the vector of a text, for services that classify by it. No other service loads a model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from prometheus_client import Histogram
from worksite.common.messages import Embedding, EmbedText
from worksite.rag.embedder import Embedder, fingerprint
from worksite.rag.lane import Lane

_SECONDS = Histogram(
    "rag_embed_duration_seconds",
    "Time that the vector of a text took that another service asked for",
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2),
)


def embed_endpoint(embedder: Embedder, lane: Lane) -> Callable[[EmbedText], Awaitable[Embedding]]:
    """The handler of the `embed` verb. Whoever asks waits no longer than a query does."""
    name = fingerprint(embedder)

    async def embed(asked: EmbedText) -> Embedding:
        with lane.query(), _SECONDS.time():
            vector = await asyncio.to_thread(embedder.embed_query, " ".join(asked.text.split()))
        return Embedding(embedder=name, vector=vector)

    return embed
