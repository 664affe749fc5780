"""A RAG engine whose reads are answered by a replica that lags indexes what it is told of all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.bus import KeyValue
from worksite.common.testing.lagging import LaggingBus
from worksite.rag.keeper import Keeper

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def behind(client: Any, keeper: Keeper) -> AsyncIterator[Keeper]:
    """With the rows as they were before the first document."""
    bus = await LaggingBus.connect(client.bus.settings)
    assert isinstance(bus, LaggingBus)
    await bus.fall_behind("KV_documents")
    yield replace(keeper, rows=KeyValue(bus, subjects.DOCUMENTS))
    await bus.close()


async def test_a_document_that_the_replica_has_not_seen_is_indexed(client: Any, behind: Keeper) -> None:
    document = await client.send("a.md", "# Login\n\nA session ends.\n")

    assert await behind.settle("acme", document) == "indexed"
    assert (await client.row("a.md")).state == "indexed"
