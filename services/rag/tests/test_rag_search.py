"""Search over a tiny corpus, end to end below the bus."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio
from worksite.rag.domain.documents import Document
from worksite.rag.domain.queries import SHARED_TENANT, Filters, Mode, Scope, SearchQuery
from worksite.rag.embedder import Embedder
from worksite.rag.index import Indexer
from worksite.rag.search import SearchEngine
from worksite.rag.sparse import SparseEncoder
from worksite.rag.stores.edge import EdgeStore

ACME = Scope("acme")


@pytest_asyncio.fixture
async def engine(
    indexer: Indexer, corpus: list[Document], embedder: Embedder, encoder: SparseEncoder, edge_store: EdgeStore
) -> SearchEngine:
    blueprint = Document(
        "blueprints/auth/README.md",
        "# Auth service\n\nRegister, log in, refresh with rotation, log out.\n",
        "markdown",
        kind="blueprint",
        name="auth",
    )
    await indexer.sync(SHARED_TENANT, [*corpus, blueprint])
    return SearchEngine(embedder, encoder, edge_store)


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
async def test_each_mode_finds_the_passage_and_cites_its_lines(engine: SearchEngine, mode: Mode) -> None:
    result = await engine.search(SearchQuery("how are passwords hashed?", ACME, mode))
    best = result.hits[0].passage
    assert (best.path, best.start_line, best.end_line) == ("docs/passwords.md", 1, 3)
    assert best.heading == ("Passwords",)
    assert {"embed", "retrieve", "fuse", "fetch", "total"} == set(result.timings_ms)


@pytest.mark.asyncio
async def test_meaning_is_found_without_a_common_word_by_the_dense_side_only(engine: SearchEngine) -> None:
    question = "credential storage security"
    assert (await engine.search(SearchQuery(question, ACME, "sparse"))).hits == ()
    best = (await engine.search(SearchQuery(question, ACME, "hybrid"))).hits[0]
    assert best.passage.path == "docs/passwords.md"
    assert best.sparse is None


@pytest.mark.asyncio
async def test_sides_that_were_not_asked_have_no_score(engine: SearchEngine) -> None:
    dense = (await engine.search(SearchQuery("tokens", ACME, "dense"))).hits[0]
    sparse = (await engine.search(SearchQuery("tokens", ACME, "sparse"))).hits[0]
    assert (dense.score, dense.sparse) == (dense.dense, None)
    assert (sparse.score, sparse.dense) == (sparse.sparse, None)


@pytest.mark.asyncio
async def test_request_is_matched_to_the_blueprint(engine: SearchEngine) -> None:
    scope = Scope("acme", Filters(kind="blueprint"))
    (hit,) = (await engine.search(SearchQuery("Create auth system", scope))).hits
    assert (hit.passage.name, hit.passage.kind) == ("auth", "blueprint")


@pytest.mark.asyncio
async def test_no_more_than_top_k_come_back_and_best_first(engine: SearchEngine) -> None:
    hits = (await engine.search(SearchQuery("tokens and passwords", ACME, top_k=2))).hits
    assert len(hits) == 2
    assert hits[0].score >= hits[1].score


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
async def test_other_tenants_passages_are_never_found(engine: SearchEngine, indexer: Indexer, mode: Mode) -> None:
    secret = Document("secret.md", "# Merger\n\nThe merger is announced in May.\n", "markdown")
    await indexer.sync("other", [secret])
    mine = await engine.search(SearchQuery("when is the merger announced", ACME, mode, top_k=50))
    theirs = await engine.search(SearchQuery("when is the merger announced", Scope("other"), mode))
    assert "secret.md" not in {hit.passage.path for hit in mine.hits}
    assert theirs.hits[0].passage.path == "secret.md"


@pytest.mark.asyncio
async def test_query_of_stop_words_still_answers_in_hybrid_mode(engine: SearchEngine) -> None:
    assert len((await engine.search(SearchQuery("what is it", ACME))).hits) == 5


@pytest.mark.asyncio
async def test_empty_index_answers_with_nothing(
    embedder: Embedder, encoder: SparseEncoder, edge_store: EdgeStore
) -> None:
    assert (await SearchEngine(embedder, encoder, edge_store).search(SearchQuery("x", ACME))).hits == ()


class _NarrowStore(EdgeStore):
    """An opened store whose first search of each side brings in a single candidate."""

    def __init__(self, opened: EdgeStore) -> None:
        self.__dict__.update(opened.__dict__)

    async def dense(self, scope, vector, limit, among=None):
        return await super().dense(scope, vector, 1 if among is None else limit, among)

    async def sparse(self, scope, vector, limit, among=None):
        return await super().sparse(scope, vector, 1 if among is None else limit, among)


@pytest.mark.asyncio
async def test_candidate_of_one_side_gets_its_exact_score_on_the_other(engine: SearchEngine) -> None:
    question = "Refresh: where are passwords stored and hashed, and how is the coffee machine cleaned?"
    wide = {hit.passage.path: hit for hit in (await engine.search(SearchQuery(question, ACME))).hits}
    narrow = replace(engine, store=_NarrowStore(engine.store))  # pyright: ignore[reportArgumentType]
    hits = (await narrow.search(SearchQuery(question, ACME))).hits
    assert len(hits) == 2
    for hit in hits:
        assert (hit.dense, hit.sparse) == (wide[hit.passage.path].dense, wide[hit.passage.path].sparse)


@pytest.mark.asyncio
async def test_event_loop_stays_live_while_a_query_is_embedded(engine: SearchEngine) -> None:
    turns = 0

    async def count_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count_turns())
    await engine.search(SearchQuery("word " * 400, ACME, "dense"))
    counting.cancel()
    assert turns > 50
