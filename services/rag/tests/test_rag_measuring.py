"""What the metrics say of the index is what is in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY
from worksite.rag import measuring
from worksite.rag.domain.documents import Document
from worksite.rag.index import Indexer
from worksite.rag.measuring import measure

pytestmark = pytest.mark.asyncio


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def until_chunks_are(expected: int) -> None:
    async with asyncio.timeout(60):
        while value("rag_index_chunks") != expected:
            await asyncio.sleep(0.001)


async def test_chunks_in_the_index_and_those_that_come_move_and_go_are_told(
    indexer: Indexer, corpus: list[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "INTERVAL_SECONDS", 0.001)
    before = [value("rag_ingest_chunks_total", change=change) for change in ("embedded", "moved", "removed")]
    measuring_it = asyncio.create_task(measure(indexer.store))
    for document in corpus:
        await indexer.put("acme", document)
    await until_chunks_are(4)
    await indexer.put("acme", replace(corpus[0], tags=("new",)))
    await indexer.remove("acme", corpus[2].path)
    await until_chunks_are(3)
    measuring_it.cancel()
    await asyncio.wait({measuring_it})
    after = [value("rag_ingest_chunks_total", change=change) for change in ("embedded", "moved", "removed")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [4, 2, 1]
