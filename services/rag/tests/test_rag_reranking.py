"""Reranking within a search: it orders, it says when it did not, and it never makes a search late or fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.rag.domain.documents import Document
from worksite.rag.domain.queries import Scope, SearchQuery
from worksite.rag.embedder import Embedder
from worksite.rag.index import Indexer
from worksite.rag.loading import load_reranker
from worksite.rag.reranker import SHIPPED, Attempt, CrossEncoder, DeadlineExceeded
from worksite.rag.reranking import Reranking
from worksite.rag.search import SearchEngine
from worksite.rag.stores.edge import EdgeStore
from worksite.rag.stores.sparse import SparseEncoder

QUESTION = SearchQuery("how are passwords hashed?", Scope("acme"))
GENEROUS = 60.0


class _Model(CrossEncoder):
    """Stands in for the shipped model: prefers long texts, or does what a test tells it to."""

    def __init__(self) -> None:
        self.folder = Path(SHIPPED)
        self.ended = threading.Event()
        self.begun = threading.Event()
        self.endless = False
        self.broken = False

    def score(
        self, query: str, passages: Sequence[tuple[str, str]], tokens: int, attempt: Attempt | None = None
    ) -> list[float]:
        self.begun.set()
        if self.broken:
            raise RuntimeError("no such operator")
        while self.endless:
            try:
                (attempt or Attempt()).check()
            except DeadlineExceeded:
                self.ended.set()
                raise
        return [float(len(text)) for _, text in passages]


@pytest.fixture
def model() -> _Model:
    return _Model()


@pytest_asyncio.fixture
async def engine(
    indexer: Indexer,
    corpus: list[Document],
    embedder: Embedder,
    encoder: SparseEncoder,
    edge_store: EdgeStore,
    model: _Model,
) -> SearchEngine:
    await indexer.sync("acme", corpus)
    return SearchEngine(embedder, encoder, edge_store, reranking=Reranking(model, weight=1.0, seconds=GENEROUS))


@pytest.mark.asyncio
async def test_answer_is_in_the_rerankers_order_and_shows_its_scores(engine: SearchEngine) -> None:
    result = await engine.search(QUESTION)
    lengths = [len(hit.passage.text) for hit in result.hits]
    assert lengths == sorted(lengths, reverse=True)
    assert result.skipped is None
    assert [hit.rerank for hit in result.hits] == lengths


@pytest.mark.asyncio
async def test_rerank_false_keeps_the_first_stages_order_and_says_so(engine: SearchEngine, model: _Model) -> None:
    result = await engine.search(replace(QUESTION, rerank=False))
    assert result.hits[0].passage.path == "docs/passwords.md"
    assert (result.skipped, result.hits[0].rerank, model.begun.is_set()) == ("not_asked", None, False)


@pytest.mark.asyncio
async def test_without_a_model_every_answer_says_so(engine: SearchEngine) -> None:
    assert (await replace(engine, reranking=None).search(QUESTION)).skipped == "no_model"


@pytest.mark.asyncio
async def test_nothing_found_is_not_called_reranked(engine: SearchEngine) -> None:
    assert (await engine.search(replace(QUESTION, text="zxqv", mode="sparse"))).skipped == "no_results"


@pytest.mark.asyncio
async def test_at_the_deadline_the_first_stages_order_is_answered_and_the_model_is_ended(
    engine: SearchEngine, model: _Model
) -> None:
    model.endless = True
    late = replace(engine, reranking=Reranking(model, seconds=0.05))
    result = await late.search(QUESTION)
    fused = await late.search(replace(QUESTION, rerank=False))
    assert result.skipped == "deadline"
    assert [hit.passage for hit in result.hits] == [hit.passage for hit in fused.hits]
    if model.begun.is_set():  # a busy machine may have spent the time before
        assert await asyncio.to_thread(model.ended.wait, 30)


@pytest.mark.asyncio
async def test_answer_that_came_too_late_for_the_reranker_is_not_remembered(
    engine: SearchEngine, model: _Model
) -> None:
    model.endless = True
    await replace(engine, reranking=Reranking(model, seconds=0.05)).search(QUESTION)
    model.endless = False
    again = await engine.search(QUESTION)
    assert (again.skipped, again.cached) == (None, False)


@pytest.mark.asyncio
async def test_failure_of_the_model_costs_the_reranking_only(engine: SearchEngine, model: _Model) -> None:
    model.broken = True
    result = await engine.search(QUESTION)
    assert (result.skipped, result.hits[0].passage.path) == ("failed", "docs/passwords.md")


@pytest.mark.asyncio
async def test_search_that_waits_for_its_turn_gives_up_at_its_own_deadline(model: _Model) -> None:
    model.endless = True
    now = asyncio.get_running_loop().time()
    long, short = Reranking(model, seconds=GENEROUS), Reranking(model, seconds=0.05)
    short = replace(short, _turn=long._turn)
    first = asyncio.create_task(long.scores("q", [("", "text")], now))
    await asyncio.to_thread(model.begun.wait, 30)
    with pytest.raises(DeadlineExceeded):
        await short.scores("q", [("", "text")], asyncio.get_running_loop().time())
    assert not first.done()
    model.endless = False
    assert await first == [4.0]


@pytest.mark.asyncio
async def test_model_in_the_layout_of_the_hub_adds_its_raw_scores_to_the_answer(
    engine: SearchEngine, hub_folder: Path
) -> None:
    model, _ = load_reranker(str(hub_folder), 1)
    assert model
    result = await replace(engine, reranking=Reranking(model, seconds=GENEROUS)).search(QUESTION)
    passages = [(" > ".join(hit.passage.heading), hit.passage.text) for hit in result.hits]
    scores = [hit.rerank for hit in result.hits]
    assert scores == pytest.approx(model.score(QUESTION.text, passages, 3000), abs=1e-3)
    assert min(score or 0 for score in scores) < 0 < 1 < max(score or 0 for score in scores)


@pytest.mark.asyncio
async def test_event_loop_turns_while_the_shipped_model_reads(cross_encoder: CrossEncoder) -> None:
    reranking = Reranking(cross_encoder, seconds=GENEROUS, tokens=3000)
    started = asyncio.get_running_loop().time()
    scoring = asyncio.create_task(reranking.scores("passwords", [("", "password " * 300)] * 20, started))
    turns = 0
    while not scoring.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(await scoring) == 20
    assert turns > 100
