"""An engine in this process, asked about a test collection; `worksite rag eval` asks one over HTTP."""

from __future__ import annotations

from time import perf_counter

from worksite.common.retrieval.collections import Collection
from worksite.common.retrieval.evaluation import Ask, Ranking, Way
from worksite.rag.domain.documents import Document
from worksite.rag.domain.queries import Scope, SearchQuery
from worksite.rag.index import Indexer
from worksite.rag.search import SearchEngine

DEPTH = 100


async def index_collection(indexer: Indexer, tenant: str, collection: Collection) -> None:
    """Make what a tenant has indexed equal to a collection; a document's path is its id."""
    await indexer.sync(tenant, (Document(one, text, "text") for one, text in collection.documents.items()))


def ask_engine(engine: SearchEngine, tenant: str) -> Ask:
    """Ask an engine in this process as a tenant that has a collection indexed; a document ranks as its best chunk."""

    async def ask(text: str, way: Way) -> Ranking:
        query = SearchQuery(text, Scope(tenant), way.mode, DEPTH, way.rerank)
        started = perf_counter()
        hits = (await engine.search(query)).hits
        return Ranking(list(dict.fromkeys(hit.passage.path for hit in hits)), (perf_counter() - started) * 1000)

    return ask
