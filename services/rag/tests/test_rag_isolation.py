"""No tenant is given what another one owns, nor anything that depends on it: in every mode, through every adapter."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient
from worksite.rag.domain.documents import DIMENSIONS, Chunk, Passage, Point, Vector
from worksite.rag.domain.identity import chunk_ids
from worksite.rag.domain.queries import SHARED_TENANT, Filters, RankFusion, Scope, SearchQuery
from worksite.rag.reranking import Reranking
from worksite.rag.search import SearchEngine
from worksite.rag.store import VectorStore
from worksite.rag.stores.server import open_server_store
from worksite.rag.stores.sparse import SparseEncoder

pytestmark = pytest.mark.asyncio
MAY = datetime(2026, 5, 1, tzinfo=UTC)
TENANTS = ("acme", "acme2", "ACME", "acm", "*", "a b/../c", "\u0430cme", " shared", "shared\n", SHARED_TENANT)
"""Near to one another and odd on purpose; the second but last ones are not the shared tenant."""
PATHS = ("a.md", "a.md2", "../a.md", "docs/\u00e4.md", "docs/a\u0308.md", "*", "docs/a\nb.md")
WORDS = ("token", "rotate", "merger", "secret", "coffee")
ENCODER = SparseEncoder()


class Bag:
    """An embedder of single words: near are texts that share some."""

    def embed(self, text: str) -> Vector:
        values = [0.01] * DIMENSIONS
        for word in text.split():
            values[hashlib.sha256(word.encode()).digest()[0]] += 1.0
        return tuple(values)

    embed_query = embed


class Longest:
    """A reranker that prefers long texts."""

    def score(self, _: str, passages: Sequence[tuple[str, str]], *__: object) -> list[float]:
        return [float(len(text)) for _, text in passages]


@dataclass(frozen=True)
class Step:
    """What a tenant does to one of few ids, which all tenants use."""

    does: str
    tenant: str
    id: UUID
    passage: Passage


def passage_of(owner: str, path: str, words: tuple[str, ...], tags: tuple[str, ...], language: str | None) -> Passage:
    """Its name says whose it is; nothing else does."""
    at = MAY if tags else None
    return Passage(path, " ".join(words), 0, 1, 1, 1, ("H",), "document", owner, tags, language, at)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    tenant = draw(st.sampled_from(TENANTS))
    return Step(
        draw(st.sampled_from(["put", "put", "put", "put", "replace", "delete"])),
        tenant,
        UUID(int=draw(st.integers(1, 12))),
        passage_of(
            tenant,
            draw(st.sampled_from(PATHS)),
            tuple(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3))),
            draw(st.sampled_from([(), ("x",), ("x", "y")])),
            draw(st.sampled_from([None, "python"])),
        ),
    )


FILTERS = st.sampled_from(
    [
        Filters(),
        Filters(path_prefix="docs/"),
        Filters(path_prefix="*"),
        Filters(tags=("x",)),
        Filters(language="python"),
        Filters(kind="document"),
        Filters(since=MAY),
        Filters(before=MAY),
    ]
)


class Model:
    """What the store should hold: of each id the owner and the passage."""

    def __init__(self, store: VectorStore) -> None:
        self.store = store
        self.held: dict[UUID, tuple[str, Passage]] = {}

    async def take(self, step: Step) -> None:
        """A step; what is no upsert changes nothing where the id is another tenant's."""
        owner, _ = self.held.get(step.id, (None, None))
        if step.does == "put":  # of an id that is another's as well: ids are made so that this cannot happen
            text = step.passage.text
            await self.store.upsert(
                step.tenant, [Point(step.id, step.passage, Bag().embed(text), ENCODER.document(text))]
            )
            self.held[step.id] = step.tenant, step.passage
        elif step.does == "replace":
            await self.store.replace_passages(step.tenant, {step.id: step.passage})
            if owner == step.tenant:
                self.held[step.id] = step.tenant, step.passage
        elif step.does == "delete":
            await self.store.delete(step.tenant, [step.id])
            if owner == step.tenant:
                del self.held[step.id]

    def visible(self, tenant: str) -> dict[UUID, Passage]:
        return {one: passage for one, (owner, passage) in self.held.items() if owner in (tenant, SHARED_TENANT)}

    async def clear(self) -> None:
        for one, (owner, _) in self.held.items():
            await self.store.delete(owner, [one])


@pytest_asyncio.fixture(params=["edge", "server"])
async def store(request: pytest.FixtureRequest, edge_store: VectorStore) -> AsyncGenerator[VectorStore, None]:
    if request.param == "edge":
        yield edge_store
        return
    with warnings.catch_warnings():  # the local mode warns that it has no payload indexes
        warnings.simplefilter("ignore", UserWarning)
        opened = await open_server_store(AsyncQdrantClient(":memory:"), "worksite", "0123456789abcdef")
    yield opened
    await opened.close()


def queries(scope: Scope, text: str) -> list[SearchQuery]:
    modes: list[dict[str, Any]] = [{"mode": "dense"}, {"mode": "sparse"}, {}, {"rank_fusion": RankFusion()}]
    return [SearchQuery(text, scope, top_k=50, rerank=rerank, **mode) for mode, rerank in product(modes, (True, False))]


def meets(passage: Passage, filters: Filters) -> bool:
    at = passage.updated_at
    return all(
        (
            passage.path.startswith(filters.path_prefix or ""),
            set(filters.tags) <= set(passage.tags),
            filters.language in (None, passage.language),
            filters.since is None or (at is not None and at >= filters.since),
            filters.before is None or (at is not None and at < filters.before),
        )
    )


async def assert_isolated(engine: SearchEngine, model: Model, scope: Scope, text: str) -> None:
    """All that a tenant is given is its own or shared, as it is stored now, and all that it owns can be found."""
    visible = model.visible(scope.tenant)
    expected = {one: passage for one, passage in visible.items() if meets(passage, scope.filters)}
    for query in queries(scope, text):
        first, again = await engine.search(query), await engine.search(query)
        assert again.hits == first.hits
        assert [hit for hit in first.hits if hit.passage not in expected.values()] == []
        own = [passage.text for passage in expected.values() if passage.name == scope.tenant]
        if query.mode != "sparse":
            assert set(own) <= {hit.passage.text for hit in first.hits}
    everything = list(model.held)
    terms = ENCODER.query(text)
    assert set(await model.store.dense(scope, Bag().embed(text), 50, everything)) == expected.keys()
    assert set(await model.store.sparse(scope, terms, 50, everything)) <= expected.keys()
    assert await model.store.passages(scope, everything) == expected


async def assert_bookkeeping_is_isolated(model: Model) -> None:
    counts = await model.store.counts()
    for tenant in TENANTS:
        owned = {one: passage.path for one, (owner, passage) in model.held.items() if owner == tenant}
        revisions = await model.store.revisions(tenant)
        assert {one: path for path, ids in revisions.items() for one in ids} == owned
        assert sum(counts.get(tenant, {}).values()) == len(owned)


async def scores(store: VectorStore, scope: Scope, text: str) -> Mapping[UUID, float]:
    return dict(await store.sparse(scope, ENCODER.query(text), 50))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    history=st.lists(steps(), min_size=1, max_size=24),
    later=st.lists(steps(), max_size=4),
    seekers=st.lists(st.sampled_from(TENANTS), min_size=1, max_size=2, unique=True),
    filters=FILTERS,
    asked=st.lists(st.sampled_from(WORDS), min_size=1, max_size=2).map(" ".join),
)
async def test_tenant_is_given_what_it_owns_and_what_is_shared_and_nothing_that_depends_on_others(
    store: VectorStore, history: list[Step], later: list[Step], seekers: list[str], filters: Filters, asked: str
) -> None:
    model = Model(store)
    reranking = Reranking(Longest(), seconds=60)  # pyright: ignore[reportArgumentType]
    engine = SearchEngine(Bag(), ENCODER, store, reranking=reranking)  # pyright: ignore[reportArgumentType]
    for moment in (history, later):  # the second time over answers that are cached
        for step in moment:
            await model.take(step)
        for seeker in seekers:
            await assert_isolated(engine, model, Scope(seeker, filters), asked)
    await assert_bookkeeping_is_isolated(model)
    before = await scores(store, Scope(seekers[0]), asked)
    others = [tenant for tenant in TENANTS if tenant not in (seekers[0], SHARED_TENANT)]
    for n, tenant in enumerate(others, 100):
        await model.take(Step("put", tenant, UUID(int=n), passage_of(tenant, "a.md", WORDS, (), None)))
    assert await scores(store, Scope(seekers[0]), asked) == {
        one: pytest.approx(score, rel=1e-5) for one, score in before.items()
    }
    await model.clear()


async def test_ids_of_chunks_are_those_of_no_other_tenant_index_or_path() -> None:
    piece = Chunk("x", 0, 1, 0, 1, 1, 1, (), "x")
    names = [(index, tenant, path) for index, tenant, path in product(("i", "i2"), TENANTS, PATHS)]
    ids = [one for index, tenant, path in names for one in chunk_ids(index, tenant, path, [piece, piece])]
    assert len(set(ids)) == 2 * len(names)
