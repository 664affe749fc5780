"""Search over a tiny corpus, end to end below the bus."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import pytest_asyncio
from worksite.rag.domain.documents import Document
from worksite.rag.domain.queries import SHARED_TENANT, Filters, Mode, RankFusion, Scope, SearchQuery
from worksite.rag.embedder import Embedder
from worksite.rag.index import Indexer
from worksite.rag.search import SearchEngine
from worksite.rag.stores.edge import EdgeStore
from worksite.rag.stores.sparse import SparseEncoder

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
    assert {"embed", "retrieve", "fuse", "fetch", "rerank", "total"} == set(result.timings_ms)


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
    hits = (await narrow.search(SearchQuery(question, ACME, top_k=9))).hits
    assert len(hits) == 2
    for hit in hits:
        assert (hit.dense, hit.sparse) == (wide[hit.passage.path].dense, wide[hit.passage.path].sparse)


@pytest.mark.asyncio
async def test_rank_fusion_replaces_the_convex_combination_where_it_is_asked_for(engine: SearchEngine) -> None:
    question = SearchQuery("how are passwords hashed?", ACME, rank_fusion=RankFusion(k=1))
    best = (await engine.search(question)).hits[0]
    assert (best.passage.path, best.score) == ("docs/passwords.md", pytest.approx(1 / 2 + 1 / 2))


@pytest.mark.asyncio
async def test_own_copy_of_a_shared_text_hides_the_shared_one(
    engine: SearchEngine, indexer: Indexer, corpus: list[Document]
) -> None:
    copy = next(document for document in corpus if document.path == "docs/passwords.md")
    await indexer.put("acme", replace(copy, path="mine/passwords.md"))
    mine = await engine.search(SearchQuery("how are passwords hashed?", ACME, top_k=50))
    others = await engine.search(SearchQuery("how are passwords hashed?", Scope("other"), top_k=50))
    assert [hit.passage.path for hit in mine.hits if "passwords" in hit.passage.path] == ["mine/passwords.md"]
    assert [hit.passage.path for hit in others.hits if "passwords" in hit.passage.path] == ["docs/passwords.md"]
    assert {"docs/kitchen.md", "docs/tokens.md"} <= {hit.passage.path for hit in mine.hits}


@pytest.mark.asyncio
async def test_equal_search_is_answered_from_the_cache_without_asking_model_or_store(
    engine: SearchEngine, embedded: list[str]
) -> None:
    question = SearchQuery("how are passwords hashed?", ACME)
    first = await engine.search(question)
    embedded.clear()
    again = await replace(engine, store=_DeafStore(engine.store)).search(question)
    assert (again.hits, again.cached, first.cached) == (first.hits, True, False)
    assert embedded == []
    assert set(again.timings_ms) == {"total"}


@pytest.mark.asyncio
@pytest.mark.parametrize("other", [Scope("other"), Scope("acme", Filters(tags=("x",)))])
async def test_cached_answer_is_nobody_elses(engine: SearchEngine, other: Scope) -> None:
    await engine.search(SearchQuery("how are passwords hashed?", ACME))
    assert not (await engine.search(SearchQuery("how are passwords hashed?", other))).cached


@pytest.mark.asyncio
async def test_every_kind_of_write_ends_what_is_cached(engine: SearchEngine, indexer: Indexer) -> None:
    question = SearchQuery("when is the merger announced", ACME, top_k=1)

    async def answer() -> tuple[str, int, bool]:
        result = await engine.search(question)
        best = result.hits[0].passage
        return best.path, best.start_line, result.cached

    secret = Document("merger.md", "The merger is announced in May.\n", "markdown")
    await answer()
    await indexer.put("acme", secret)
    assert await answer() == ("merger.md", 1, False)
    await indexer.put("acme", replace(secret, text=f"\n{secret.text}"))
    assert await answer() == ("merger.md", 2, False)
    assert await answer() == ("merger.md", 2, True)
    await indexer.remove("acme", "merger.md")
    assert (await answer())[0] != "merger.md"


@pytest.mark.asyncio
async def test_question_asked_again_after_a_write_is_not_embedded_again(
    engine: SearchEngine, indexer: Indexer, embedded: list[str]
) -> None:
    question = SearchQuery("how are passwords hashed?", ACME)
    await engine.search(question)
    await indexer.put("acme", Document("x.md", "Something else.\n", "markdown"))
    await engine.search(question)
    assert embedded.count(question.text) == 1


class _DeafStore(EdgeStore):
    """An opened store that may not be searched any more."""

    def __init__(self, opened: EdgeStore) -> None:
        self.__dict__.update(opened.__dict__)

    async def dense(self, scope, vector, limit, among=None):
        raise AssertionError("the store was asked")

    sparse = dense


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
