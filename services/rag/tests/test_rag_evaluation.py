"""The engine, asked about a test collection in this process."""

from __future__ import annotations

import pytest
from worksite.common.retrieval.collections import Collection
from worksite.common.retrieval.evaluation import WAYS, evaluate
from worksite.rag.embedder import Embedder
from worksite.rag.evaluation import DEPTH, ask_engine, index_collection
from worksite.rag.index import Indexer
from worksite.rag.search import SearchEngine
from worksite.rag.stores.edge import EdgeStore
from worksite.rag.stores.sparse import SparseEncoder

CORPUS = {
    "d1": "Refresh tokens are rotated on every use.",
    "d2": "Passwords are hashed with argon2.",
    "d3": "The coffee machine is cleaned on Fridays.",
}


@pytest.mark.asyncio
async def test_engine_can_be_asked_about_an_indexed_collection(
    indexer: Indexer, embedder: Embedder, encoder: SparseEncoder, edge_store: EdgeStore
) -> None:
    collection = Collection("tiny", CORPUS, {"q1": "how are passwords hashed?"}, {"q1": {"d2": 2}})
    await index_collection(indexer, "acme", collection)
    ask = ask_engine(SearchEngine(embedder, encoder, edge_store), "acme")
    for row in await evaluate(collection, ask, DEPTH, WAYS[:3]):
        assert (row.ndcg_at_10, row.mrr_at_10) == (1, 1)
