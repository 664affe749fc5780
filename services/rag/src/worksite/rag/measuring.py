"""How much there is in the index, for whoever watches over its size."""

from __future__ import annotations

import asyncio
import logging

from prometheus_client import Gauge
from worksite.rag.store import VectorStore

log = logging.getLogger(__name__)

_CHUNKS = Gauge("rag_index_chunks", "Chunks that can be searched, of folders, blueprints and all tenants")
INTERVAL_SECONDS = 15.0


async def measure(store: VectorStore) -> None:
    """Until cancelled. Counting reads the index, so it is done when something was written."""
    counted: int | None = None
    while True:
        generation = store.generation
        if generation is None or generation != counted:
            try:
                chunks = await store.size()
            except Exception as error:  # the boundary: what the store cannot do, it can do later
                log.warning("the chunks of the index could not be counted: %s", error or repr(error))
            else:
                _CHUNKS.set(chunks)
                counted = generation
        await asyncio.sleep(INTERVAL_SECONDS)
