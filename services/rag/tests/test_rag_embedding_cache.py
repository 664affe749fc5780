"""What was embedded once is not embedded again, whatever it is called; and a cache that is broken costs only time."""

from __future__ import annotations

import os
import sqlite3
import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from worksite.common.ids import SHARED_TENANT
from worksite.rag.converting import Converter
from worksite.rag.domain.documents import DIMENSIONS, Document, Vector
from worksite.rag.embedder import Embedder
from worksite.rag.embedding_cache import OVERHEAD, EmbeddingCache
from worksite.rag.folders import Folder
from worksite.rag.index import Indexer
from worksite.rag.library import Library

pytestmark = pytest.mark.asyncio
BOUND = int(1000 * OVERHEAD * 4 * DIMENSIONS)
"""Room for a thousand."""
TEXT = "# Tokens\n\nThey are rotated.\n\n# Lifetime\n\nFifteen minutes.\n"


def vector(n: int) -> Vector:
    return tuple(float(n * DIMENSIONS + place) for place in range(DIMENSIONS))


def spoil(file: Path, damage: str) -> None:
    data = file.read_bytes()
    if damage == "another layout":
        file.unlink()
        with closing(sqlite3.connect(file)) as database:
            database.execute("CREATE TABLE embeddings (text, used)")
    elif damage == "truncated":
        file.write_bytes(data[: len(data) // 2 + 100])
    else:
        file.write_bytes(b"no database " * 1000)


def flip_a_bit(file: Path, where: bytes) -> None:
    data = bytearray(file.read_bytes())
    data[data.index(where) + 100] ^= 1
    file.write_bytes(data)


@asynccontextmanager
async def opened(file: Path) -> AsyncGenerator[EmbeddingCache, None]:
    async with aclosing(EmbeddingCache(file, 1 << 20)) as cache:
        yield cache


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "embeddings.sqlite3"


@pytest_asyncio.fixture
async def cache(file: Path) -> AsyncGenerator[EmbeddingCache, None]:
    async with opened(file) as cache:
        yield cache


@pytest.fixture
def caching(indexer: Indexer, cache: EmbeddingCache) -> Indexer:
    return replace(indexer, cache=cache)


async def test_renamed_file_embeds_nothing(caching: Indexer, embedded: list[str], tmp_path: Path) -> None:
    root = tmp_path / "docs"
    root.mkdir()
    (root / "a.md").write_text(TEXT)
    library = Library(caching, [Folder(root)], Converter())
    await library.sweep()
    assert len(embedded) == 2
    (root / "a.md").rename(root / "b.md")
    await library.look(root)
    assert len(embedded) == 2
    assert (await caching.store.counts())[SHARED_TENANT] == {"docs/b.md": 2}


async def test_another_tenants_copy_and_another_index_embed_nothing(caching: Indexer, embedded: list[str]) -> None:
    first = await caching.sync("acme", [Document("a.md", TEXT, "markdown")])
    assert first.embedded == len(embedded) == 2
    copied = await caching.sync("other", [Document("copy.md", TEXT, "markdown")])
    rebuilt = await replace(caching, index="another").sync("acme", [Document("b.md", TEXT, "markdown")])
    assert (copied.chunks, copied.embedded, rebuilt.chunks, rebuilt.embedded) == (2, 0, 2, 0)
    assert len(embedded) == 2


async def test_text_that_repeats_within_a_document_is_embedded_once(indexer: Indexer, embedded: list[str]) -> None:
    report = await indexer.sync("acme", [Document("a.md", "# Same\n\nsame\n\n# Same\n\nsame\n", "markdown")])
    assert (report.chunks, report.embedded, len(embedded)) == (2, 1, 1)


async def test_vectors_come_back_exactly_also_after_a_restart(embedder: Embedder, file: Path) -> None:
    given = embedder.embed("Fifteen minutes.")
    async with opened(file) as cache:
        await cache.keep("model", {"text": given})
    async with opened(file) as again:
        assert await again.find("model", ["text", "unknown"]) == {"text": given}


async def test_what_another_model_gave_is_not_found(cache: EmbeddingCache) -> None:
    await cache.keep("model", {"text": vector(1)})
    assert await cache.find("another", ["text"]) == {}
    assert await cache.find("model", ["text"]) == {"text": vector(1)}


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "another layout"])
async def test_damaged_file_is_made_anew(file: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    everything = {str(n): vector(n) for n in range(50)}
    async with opened(file) as cache:
        await cache.keep("model", everything)
    spoil(file, damage)
    async with opened(file) as cache:
        await cache.find("model", everything)
        assert "made anew" in caplog.text
        await cache.keep("model", {"text": vector(1)})
        assert await cache.find("model", ["text", *everything]) == {"text": vector(1)}


async def test_vector_that_is_not_as_it_was_stored_is_not_handed_out(file: Path) -> None:
    async with opened(file) as cache:
        await cache.keep("model", {"text": vector(1)})
    flip_a_bit(file, np.asarray(vector(1), "<f4").tobytes())
    async with opened(file) as cache:
        assert await cache.find("model", ["text"]) == {}


@pytest.mark.parametrize(
    "change",
    [
        "used = 'today'",
        "checksum = 'none'",
        "vector = 'text'",
        f"vector = x'0102030405', checksum = {zlib.crc32(bytes([1, 2, 3, 4, 5]))}",
    ],
)
async def test_row_with_values_of_another_type_is_taken_for_missing(file: Path, change: str) -> None:
    async with opened(file) as cache:
        await cache.keep("model", {"text": vector(1)})
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(f"UPDATE embeddings SET {change}")
    async with opened(file) as cache:
        assert await cache.find("model", ["text"]) == {}
        await cache.keep("model", {"text": vector(1)})
        assert await cache.find("model", ["text"]) == {"text": vector(1)}


async def test_damaged_file_that_cannot_be_removed_costs_only_time(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"no database " * 1000)  # noqa: ASYNC240
    file.with_name(f"{file.name}-shm").mkdir()  # which `unlink` refuses
    async with opened(file) as cache:
        assert await cache.find("model", ["text"]) == {}


async def test_file_stays_within_its_bound_and_what_was_not_used_for_longest_goes_first(file: Path) -> None:
    clock = [0.0]
    cache = EmbeddingCache(file, BOUND, now=lambda: clock[0])
    for n in range(30):
        clock[0] += 1_000_000
        await cache.keep("model", {f"{n} {m}": vector(m) for m in range(100)})
        assert await cache.find("model", ["0 0", f"{n} 99"]) == {"0 0": vector(0), f"{n} 99": vector(99)}
    assert os.path.getsize(file) <= BOUND  # noqa: ASYNC240, PTH202
    assert len(await cache.find("model", [f"29 {m}" for m in range(100)])) == 100
    assert await cache.find("model", [f"0 {m}" for m in range(1, 100)]) == {}
    await cache.aclose()


async def test_file_of_another_owner_is_left_alone_and_used_once_it_is_free(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(file) as second:
        async with opened(file) as first:
            await first.keep("model", {"text": vector(1)})
            for _ in range(3):
                await second.keep("model", {"other": vector(2)})
                assert await second.find("model", ["text"]) == {}
        assert await second.find("model", ["text"]) == {"text": vector(1)}
    assert [one.message for one in caplog.records] == [f"embeddings in {file} cannot be used: database is locked"]
