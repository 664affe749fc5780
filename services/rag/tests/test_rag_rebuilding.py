"""An index with another fingerprint is made under load: the former one answers until the new one takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from worksite.common.bus import Bus, announce, request
from worksite.common.health import Health
from worksite.common.messages import SHARED_TENANT, SearchRequest, SearchResponse
from worksite.common.service import Running
from worksite.rag.domain.documents import Point
from worksite.rag.domain.identity import Fingerprint, Manifest
from worksite.rag.embedder import Embedder
from worksite.rag.embedding_cache import EmbeddingCache
from worksite.rag.index import manifest_of
from worksite.rag.rebuilding import embedder_of, former_of
from worksite.rag.serving import Serving
from worksite.rag.settings import RagSettings
from worksite.rag.store import VectorStore
from worksite.rag.stores.edge import EdgeStore
from worksite.rag.stores.edge_indexes import EdgeIndexes

pytestmark = pytest.mark.asyncio
TOKENS, COFFEE = "# Tokens\n\nRefresh tokens are rotated.\n", "# Coffee\n\nThe tokens of the machine: on Fridays.\n"


class _Held(EdgeStore):
    """An opened store that stores nothing new until it may."""

    def __init__(self, opened: EdgeStore, gate: asyncio.Semaphore) -> None:
        self.__dict__.update(opened.__dict__)
        self._gate = gate

    async def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        async with self._gate:
            await super().upsert(tenant, points)


class _HeldIndexes(EdgeIndexes):
    def __init__(self, collection: Path, held: str, gate: asyncio.Semaphore) -> None:
        super().__init__(collection)
        self._held, self._gate = held, gate

    async def open(self, manifest: Manifest) -> EdgeStore:
        store = await super().open(manifest)
        return _Held(store, self._gate) if manifest.digest == self._held else store
