"""One contract, two adapters: the embedded shard, and the server's client in its local mode."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest
import pytest_asyncio
from qdrant_client import AsyncQdrantClient
from worksite.rag.domain.documents import DIMENSIONS, Passage, Point, SparseVector, Vector
from worksite.rag.domain.identity import revision
from worksite.rag.domain.queries import SHARED_TENANT, Filters, Scope, Scores
from worksite.rag.store import StoreError, VectorStore
from worksite.rag.stores.edge import EdgeStore, open_edge_store, own_folder
from worksite.rag.stores.server import connect, open_server_store
from worksite.rag.stores.shard_process import ShardError, ShardProcess

FINGERPRINT = "0123456789abcdef"
ACME, OTHER = Scope("acme"), Scope("other")
MAY = datetime(2026, 5, 1, tzinfo=UTC)


def axis(n: int, lean: float = 0.0) -> Vector:
    """A unit vector along axis n, leaning towards the next one."""
    values = [0.0] * DIMENSIONS
    values[n], values[n + 1] = math.sqrt(1 - lean**2), lean
    return tuple(values)


def passage(path: str = "docs/a.md", *, start_line: int = 1, **more: object) -> Passage:
    plain: dict[str, object] = {"kind": "document", "name": None, "tags": (), "heading": ("A", "B")}
    return Passage(path, "text", 0, 4, start_line, start_line, **(plain | more))  # pyright: ignore[reportArgumentType]


def point(n: int, dense: Vector, terms: dict[int, float] | None = None, of: Passage | None = None) -> Point:
    sparse = SparseVector(tuple(terms or {}), tuple((terms or {}).values()))
    return Point(UUID(int=n), of or passage(), dense, sparse)


def terms(*ids: int) -> SparseVector:
    return SparseVector(ids, (1.0,) * len(ids))


async def opened(kind: str, folder: Path, dimensions: int = DIMENSIONS) -> VectorStore:
    if kind == "edge":
        return open_edge_store(folder / "worksite", FINGERPRINT, dimensions)
    with warnings.catch_warnings():  # the local mode warns that it has no payload indexes
        warnings.simplefilter("ignore", UserWarning)
        return await open_server_store(AsyncQdrantClient(":memory:"), "worksite", FINGERPRINT, dimensions)


@pytest_asyncio.fixture(params=["edge", "server"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[VectorStore, None]:
    store = await opened(request.param, tmp_path)
    yield store
    await store.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["edge", "server"])
async def test_vectors_are_as_long_as_the_model_makes_them(kind: str, tmp_path: Path) -> None:
    store = await opened(kind, tmp_path, dimensions=3)
    await store.upsert("acme", [replace(point(n, axis(n)), dense=axis(n)[:3]) for n in (0, 1, 2)])
    assert list(await store.dense(ACME, (0.0, 0.6, 0.8), limit=2)) == [UUID(int=2), UUID(int=1)]
    await store.close()


@pytest.mark.asyncio
async def test_dense_scores_are_exact_cosines_and_the_nearest_come_first(store: VectorStore) -> None:
    await store.upsert("acme", [point(1, axis(0)), point(2, axis(0, lean=0.6)), point(3, axis(5))])
    found = await store.dense(ACME, axis(0), limit=2)
    assert list(found.items()) == [(UUID(int=1), pytest.approx(1.0)), (UUID(int=2), pytest.approx(0.8))]


@pytest.mark.asyncio
@pytest.mark.parametrize("seed", range(3))
async def test_best_hundred_of_many_are_those_of_an_exact_scan(store: VectorStore, seed: int) -> None:
    """Vectors lie in clusters, as those of texts do, so that many are about as near as the hundredth."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((8, DIMENSIONS))
    vectors = centres[chance.integers(8, size=2000)] + 0.7 * chance.standard_normal((2000, DIMENSIONS))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    await store.upsert("acme", [point(n, tuple(vector)) for n, vector in enumerate(vectors.tolist())])
    cosines = vectors @ vectors[0]
    best = np.argsort(-cosines)[:100].tolist()
    found = await store.dense(ACME, tuple(vectors[0].tolist()), limit=100)
    assert [one.int for one in found] == best
    assert list(found.values()) == pytest.approx(cosines[best].tolist(), abs=1e-5)


@pytest.mark.asyncio
async def test_sparse_scores_are_weights_times_inverse_document_frequency(store: VectorStore) -> None:
    weights = [{7: 2.0}, {7: 1.0, 8: 1.5}, {9: 1.0}]
    await store.upsert("acme", [point(n, axis(n), w) for n, w in enumerate(weights, 1)])
    found = await store.sparse(ACME, terms(7, 8), limit=10)
    common, rare = math.log((3 - 2 + 0.5) / (2 + 0.5) + 1), math.log((3 - 1 + 0.5) / (1 + 0.5) + 1)
    assert found == {
        UUID(int=1): pytest.approx(2 * common, rel=1e-5),
        UUID(int=2): pytest.approx(common + 1.5 * rare, rel=1e-5),
    }


@pytest.mark.asyncio
async def test_document_frequencies_do_not_count_other_tenants(store: VectorStore) -> None:
    await store.upsert("acme", [point(1, axis(0), {7: 1.0}), point(2, axis(1), {8: 1.0})])
    before = await store.sparse(ACME, terms(7), limit=10)
    await store.upsert("other", [point(n, axis(2), {7: 1.0}) for n in range(10, 30)])
    assert await store.sparse(ACME, terms(7), limit=10) == before


@pytest.mark.asyncio
async def test_scores_can_be_had_for_chosen_points_only(store: VectorStore) -> None:
    await store.upsert("acme", [point(n, axis(0), {7: 1.0}) for n in (1, 2, 3)])
    chosen = {UUID(int=2), UUID(int=99)}
    assert set(await store.dense(ACME, axis(0), 10, chosen)) == {UUID(int=2)}
    assert set(await store.sparse(ACME, terms(7), 10, chosen)) == {UUID(int=2)}


@pytest.mark.asyncio
async def test_tenant_sees_its_own_and_the_shared_points_only(store: VectorStore) -> None:
    for n, tenant in enumerate(["acme", "other", SHARED_TENANT], 1):
        await store.upsert(tenant, [point(n, axis(0), {7: 1.0})])
    visible, hidden = {UUID(int=1), UUID(int=3)}, UUID(int=2)
    assert set(await store.dense(ACME, axis(0), 10)) == visible
    assert set(await store.sparse(ACME, terms(7), 10)) == visible
    assert set(await store.passages(ACME, [*visible, hidden])) == visible
    assert set(await store.dense(ACME, axis(0), 10, [hidden])) == set()
    assert await store.revisions("acme") == {"docs/a.md": {UUID(int=1): revision(passage())}}


def scattered(count: int, seed: int) -> list[Vector]:
    """Vectors of which no two are equally near to a third."""
    vectors = np.random.default_rng(seed).standard_normal((count, DIMENSIONS))
    return [tuple(vector) for vector in (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).tolist()]


def searches(store: VectorStore, scope: Scope) -> list[Coroutine[None, None, Scores]]:
    """Of both kinds, with and without chosen points."""
    chosen = [UUID(int=n) for n in range(0, 60, 4)]
    dense = [
        store.dense(scope, axis(n, lean), 7, among) for n in (0, 9) for lean in (0, 0.3) for among in (None, chosen)
    ]
    sparse = [store.sparse(scope, terms(n, n + 1), 7, among) for n in (7, 8) for among in (None, chosen)]
    return [*dense, *sparse]


@pytest.mark.asyncio
async def test_searches_at_once_find_each_what_it_finds_alone_and_nothing_of_others(store: VectorStore) -> None:
    owners = ["acme", "other", SHARED_TENANT]
    points = [point(n, vector, {7 + n % 5: 1.0 + n / 60}) for n, vector in enumerate(scattered(60, seed=0))]
    for first, owner in enumerate(owners):
        await store.upsert(owner, points[first::3])
    scopes = [ACME, OTHER, Scope("acme", Filters(path_prefix="elsewhere/")), Scope("nobody")]
    alone = [[await search for search in searches(store, scope)] for scope in scopes]
    together = await asyncio.gather(*(asyncio.gather(*searches(store, scope)) for scope in scopes * 3))
    for scope, found, expected in zip(scopes * 3, together, alone * 3, strict=True):
        assert [list(scores) for scores in found] == [list(scores) for scores in expected]
        assert found == [pytest.approx(scores) for scores in expected]
        assert {owners[one.int % 3] for scores in found for one in scores} <= set(scope.tenants)
    assert alone[0] != alone[1]


class CountingShard:
    """Finds nothing, and remembers how many searches came in one call."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def ask(self, name: str, *arguments: Any) -> list[Scores]:
        if name != "best":
            return []
        self.calls.append(len(arguments[0]))
        return [{} for _ in arguments[0]]

    def end(self) -> None: ...


@pytest.mark.asyncio
async def test_waiting_searches_of_one_scope_share_a_scan_of_the_embedded_store(tmp_path: Path) -> None:
    shard = CountingShard()
    store = EdgeStore(cast(ShardProcess, shard), own_folder(tmp_path))
    dense = [store.dense(scope, axis(0), 1) for scope in (ACME, OTHER, ACME, ACME)]
    await asyncio.gather(*dense, store.sparse(ACME, terms(7), 1))
    assert sorted(shard.calls) == [1, 1, 3]
    await store.close()


@pytest.mark.asyncio
async def test_tenant_can_neither_delete_nor_change_what_others_own(store: VectorStore) -> None:
    await store.upsert("other", [point(1, axis(0))])
    await store.delete("acme", [UUID(int=1)])
    await store.replace_passages("acme", {UUID(int=1): passage("docs/stolen.md")})
    assert await store.passages(OTHER, [UUID(int=1)]) == {UUID(int=1): passage()}
    assert await store.passages(ACME, [UUID(int=1)]) == {}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(path_prefix="docs/"), {1, 2}),
        (Filters(path_prefix="docs/a"), {1}),
        (Filters(kind="blueprint"), {3}),
        (Filters(tags=("x",)), {1, 2}),
        (Filters(tags=("x", "y")), {2}),
        (Filters(path_prefix="docs/", kind="blueprint"), set[int]()),
        (Filters(language="python"), {2}),
        (Filters(since=MAY), {2}),
        (Filters(before=MAY), {1}),
        (Filters(since=MAY, before=MAY + timedelta(seconds=1)), {2}),
    ],
)
async def test_filters_must_all_hold(store: VectorStore, filters: Filters, expected: set[int]) -> None:
    passages = [
        passage("docs/a.md", tags=("x",), updated_at=MAY - timedelta(days=1)),
        passage("docs/b.md", tags=("x", "y"), language="python", updated_at=MAY),
        passage("blueprints/auth/README.md", kind="blueprint", name="auth"),
    ]
    await store.upsert("acme", [point(n, axis(0), {7: 1.0}, of) for n, of in enumerate(passages, 1)])
    scope = Scope("acme", filters)
    assert {found.int for found in await store.dense(scope, axis(0), 10)} == expected
    assert {found.int for found in await store.sparse(scope, terms(7), 10)} == expected


@pytest.mark.asyncio
async def test_passages_come_back_as_they_were_stored(store: VectorStore) -> None:
    kept = ("d/ä.md", "text\r\n🧪", 3, 9, 2, 3, ("A", "B > C"), "blueprint", "auth", ("x", "y"))
    full = Passage(*kept, language="markdown", updated_at=MAY)
    await store.upsert("acme", [point(1, axis(0), of=full)])
    assert await store.passages(ACME, [UUID(int=1)]) == {UUID(int=1): full}
    assert await store.passages(ACME, []) == {}


@pytest.mark.asyncio
async def test_replacing_a_passage_keeps_its_vectors(store: VectorStore) -> None:
    await store.upsert("acme", [point(1, axis(0), {7: 1.0}, passage(tags=("x",)))])
    moved = passage(start_line=5)
    await store.replace_passages("acme", {UUID(int=1): moved})
    assert await store.passages(ACME, [UUID(int=1)]) == {UUID(int=1): moved}
    assert await store.dense(ACME, axis(0), 10) == {UUID(int=1): pytest.approx(1.0)}
    assert set(await store.sparse(ACME, terms(7), 10)) == {UUID(int=1)}


@pytest.mark.asyncio
async def test_upsert_of_a_known_id_replaces_it_and_delete_ignores_unknown_ids(store: VectorStore) -> None:
    await store.upsert("acme", [point(1, axis(0))])
    await store.upsert("acme", [point(1, axis(3), of=passage("docs/new.md"))])
    assert set(await store.revisions("acme")) == {"docs/new.md"}
    await store.delete("acme", [UUID(int=1), UUID(int=2)])
    assert await store.revisions("acme") == {}


@pytest.mark.asyncio
async def test_revisions_of_more_points_than_one_page_are_complete(store: VectorStore) -> None:
    await store.upsert("acme", [point(n, axis(0), of=passage(f"docs/{n % 7}.md")) for n in range(2500)])
    found = await store.revisions("acme")
    assert sum(len(ids) for ids in found.values()) == 2500
    assert len(found) == 7


@pytest.mark.asyncio
async def test_revisions_can_be_had_of_one_path_only(store: VectorStore) -> None:
    await store.upsert("acme", [point(n, axis(0), of=passage(f"docs/{n}.md")) for n in (1, 2, 21)])
    await store.upsert("other", [point(3, axis(0), of=passage("docs/2.md"))])
    assert await store.revisions("acme", "docs/2.md") == {"docs/2.md": {UUID(int=2): revision(passage("docs/2.md"))}}
    assert await store.revisions("acme", "docs/") == {}


@pytest.mark.asyncio
async def test_points_are_counted_by_tenant_and_path(store: VectorStore) -> None:
    assert (await store.counts(), await store.size()) == ({}, 0)
    await store.upsert("acme", [point(n, axis(0), of=passage(f"docs/{n % 30}.md")) for n in range(60)])
    await store.upsert("other", [point(99, axis(0), of=passage("docs/0.md"))])
    await store.delete("acme", [UUID(int=1), UUID(int=31), UUID(int=2)])
    await store.upsert("other", [point(99, axis(1), of=passage("docs/0.md"))])
    found = await store.counts()
    assert await store.size() == 58
    assert found["other"] == {"docs/0.md": 1}
    assert found["acme"] == {f"docs/{n}.md": 1 if n == 2 else 2 for n in range(30) if n != 1}
    await store.delete("other", [UUID(int=99)])
    assert found.keys() - (await store.counts()).keys() == {"other"}


@pytest.mark.asyncio
async def test_points_are_counted_by_source_and_their_revisions_name_it(store: VectorStore) -> None:
    sources = ("first", "first", "second", None)
    passages = [passage(f"docs/{n}.md", source=source, parts=3) for n, source in enumerate(sources)]
    await store.upsert("acme", [point(n, axis(0), of=one) for n, one in enumerate(passages, 1)])
    assert await store.counts("source") == {"acme": {"first": 2, "second": 1}}
    assert [(one.source, one.parts) for one in (await store.revisions("acme", "docs/2.md"))["docs/2.md"].values()] == [
        ("second", 3)
    ]


@pytest.mark.asyncio
async def test_server_that_cannot_be_reached_is_reported_with_its_setting() -> None:
    with pytest.raises(StoreError, match="QDRANT_HOST: the server cannot be used"):
        await open_server_store(connect("127.0.0.1", 1, None), "worksite", FINGERPRINT)


@pytest.mark.asyncio
async def test_embedded_index_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    first = open_edge_store(tmp_path, FINGERPRINT)
    await first.upsert("acme", [point(1, axis(0), {7: 1.0})])
    await first.close()
    second = open_edge_store(tmp_path, FINGERPRINT)
    assert set(await second.sparse(ACME, terms(7), 10)) == {UUID(int=1)}
    await second.close()


@pytest.mark.asyncio
async def test_embedded_index_refuses_a_second_owner_naming_the_first(tmp_path: Path, edge_store: EdgeStore) -> None:
    with pytest.raises(StoreError, match=r"in use by another process \(pid \d+\)"):
        open_edge_store(tmp_path / "worksite", FINGERPRINT)


@pytest.mark.asyncio
async def test_embedded_shard_that_cannot_be_read_is_made_anew(tmp_path: Path) -> None:
    await open_edge_store(tmp_path, FINGERPRINT).close()
    (tmp_path / FINGERPRINT / "edge_config.json").write_text("{")
    store = open_edge_store(tmp_path, FINGERPRINT)
    await store.upsert("acme", [point(1, axis(0))])
    assert set(await store.dense(ACME, axis(0), 10)) == {UUID(int=1)}
    await store.close()


def processes_of(folder: Path) -> list[int]:
    """Those that have a shard below this folder open."""
    found = [path for path in Path("/proc").glob("[0-9]*/cmdline") if str(folder).encode() in _command(path)]
    return [int(path.parent.name) for path in found]


def _command(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


@pytest.mark.asyncio
async def test_a_shard_whose_process_is_killed_is_opened_by_another_one_that_has_all_that_was_written(
    tmp_path: Path,
) -> None:
    store = open_edge_store(tmp_path, FINGERPRINT)
    await store.upsert("acme", [point(1, axis(0))])
    (pid,) = processes_of(tmp_path)
    os.kill(pid, signal.SIGKILL)
    assert set(await store.dense(ACME, axis(0), 10)) == {UUID(int=1)}
    await store.upsert("acme", [point(2, axis(1))])
    assert await store.size() == 2
    assert processes_of(tmp_path) != [pid]
    await store.close()
    assert processes_of(tmp_path) == []


@pytest.mark.asyncio
async def test_a_shard_that_cannot_be_opened_again_is_left_as_it_is_and_that_is_an_error(tmp_path: Path) -> None:
    store = open_edge_store(tmp_path, FINGERPRINT)
    (tmp_path / FINGERPRINT / "edge_config.json").write_text("{")
    (pid,) = processes_of(tmp_path)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ShardError):
        await store.size()
    assert (tmp_path / FINGERPRINT / "edge_config.json").read_text() == "{"
    with pytest.raises(ShardError):
        await store.close()


@pytest.mark.asyncio
async def test_a_refusal_of_the_engine_comes_in_its_words_and_the_process_goes_on(tmp_path: Path) -> None:
    store = open_edge_store(tmp_path, FINGERPRINT)
    (pid,) = processes_of(tmp_path)
    with pytest.raises(ShardError, match="dimension"):
        await store.upsert("acme", [replace(point(1, axis(0)), dense=(1.0, 0.0))])
    assert (await store.size(), processes_of(tmp_path)) == (0, [pid])
    await store.close()


HOLDS_A_SHARD_UNTIL_KILLED = """
import os, signal, sys
from pathlib import Path
from worksite.rag.stores.edge import open_edge_store

store = open_edge_store(Path(sys.argv[1]), sys.argv[2])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_folder_of_a_service_that_was_killed_is_free_once_the_process_of_its_shard_has_ended(
    tmp_path: Path,
) -> None:
    subprocess.run([sys.executable, "-c", HOLDS_A_SHARD_UNTIL_KILLED, str(tmp_path), FINGERPRINT], check=False)
    lock = own_folder(tmp_path)
    assert processes_of(tmp_path) == []
    lock.close()
