"""Incremental indexing: only changes are embedded, removals remove, a kill does no lasting harm."""

from __future__ import annotations

import asyncio
import errno
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from worksite.common.ids import SHARED_TENANT
from worksite.rag.backends.onnx import OnnxEmbedder
from worksite.rag.domain.documents import Document, Point, Unindexable, Vector
from worksite.rag.domain.queries import Scope, SearchQuery
from worksite.rag.domain.sections import Section
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.index import Indexer, Unreadable, fingerprint_of
from worksite.rag.lane import Lane
from worksite.rag.parsing import CodeParser
from worksite.rag.search import SearchEngine
from worksite.rag.store import VectorStore
from worksite.rag.stores.edge import EdgeStore, open_edge_store
from worksite.rag.stores.sparse import SparseEncoder


async def indexed(store: VectorStore, tenant: str = SHARED_TENANT) -> set[str]:
    return set(await store.revisions(tenant))


def edited(document: Document, old: str, new: str) -> Document:
    return replace(document, text=document.text.replace(old, new))


@pytest.mark.asyncio
async def test_second_pass_over_the_same_documents_embeds_nothing(
    indexer: Indexer, corpus: list[Document], embedded: list[str]
) -> None:
    first = await indexer.sync(SHARED_TENANT, corpus)
    assert (first.files, first.chunks, first.embedded) == (3, 4, 4)
    embedded.clear()
    second = await indexer.sync(SHARED_TENANT, corpus)
    assert embedded == []
    assert (second.chunks, second.moved, second.deleted) == (4, 0, 0)


@pytest.mark.asyncio
async def test_edit_embeds_only_the_chunk_that_changed_and_corrects_the_lines_below(
    indexer: Indexer, corpus: list[Document], edge_store: EdgeStore, embedded: list[str]
) -> None:
    await indexer.sync(SHARED_TENANT, corpus)
    embedded.clear()
    tokens, *rest = corpus
    report = await indexer.sync(SHARED_TENANT, [edited(tokens, "every use.", "every use.\nAlways."), *rest])
    assert embedded == ["Tokens\n# Tokens\n\nRefresh tokens are rotated on every use.\nAlways."]
    assert (report.moved, report.deleted) == (1, 1)
    (ids,) = [ids for path, ids in (await edge_store.revisions(SHARED_TENANT)).items() if "tokens" in path]
    passages = await edge_store.passages(Scope("acme"), ids)
    assert sorted(passage.start_line for passage in passages.values()) == [1, 6]


@pytest.mark.asyncio
async def test_file_that_is_gone_takes_its_chunks_with_it(
    indexer: Indexer, corpus: list[Document], edge_store: EdgeStore
) -> None:
    await indexer.sync(SHARED_TENANT, corpus)
    report = await indexer.sync(SHARED_TENANT, corpus[1:])
    assert report.deleted == 2
    assert await indexed(edge_store) == {"docs/passwords.md", "docs/kitchen.md"}


@pytest.mark.asyncio
async def test_documents_of_one_folder_leave_those_of_others_alone(indexer: Indexer, corpus: list[Document]) -> None:
    await indexer.sync(SHARED_TENANT, [*corpus, Document("docs-of-old/a.md", "# A\n\na\n", "markdown")])
    report = await indexer.sync(SHARED_TENANT, corpus[1:], below="docs")
    assert report.deleted > 0
    assert (await indexer.store.counts())[SHARED_TENANT].keys() == {"docs-of-old/a.md", *(d.path for d in corpus[1:])}


@pytest.mark.asyncio
async def test_indexing_one_tenant_leaves_the_others_alone(
    indexer: Indexer, corpus: list[Document], edge_store: EdgeStore
) -> None:
    await indexer.sync("acme", corpus)
    await indexer.sync("other", corpus)
    await indexer.sync("acme", [])
    assert await indexed(edge_store, "acme") == set()
    assert len(await indexed(edge_store, "other")) == 3


@pytest.mark.asyncio
async def test_unreadable_file_is_reported_keeps_its_chunks_and_stops_nothing(
    indexer: Indexer, corpus: list[Document], edge_store: EdgeStore
) -> None:
    await indexer.sync(SHARED_TENANT, corpus)
    new = Document("docs/new.md", "# New\n\ntext\n", "markdown")
    report = await indexer.sync(SHARED_TENANT, [Unreadable("docs/tokens.md", "not UTF-8"), new])
    assert report.failed == {"docs/tokens.md": "not UTF-8"}
    assert await indexed(edge_store) == {"docs/tokens.md", "docs/new.md"}


@pytest.mark.asyncio
async def test_unreadable_folder_keeps_all_that_is_indexed_beneath_it(
    indexer: Indexer, corpus: list[Document], edge_store: EdgeStore
) -> None:
    await indexer.sync(SHARED_TENANT, corpus)
    await indexer.sync(SHARED_TENANT, [Unreadable("docs", "not a folder")])
    assert len(await indexed(edge_store)) == 3


class _RefusesTokens(EdgeStore):
    """An opened store that fails for whatever belongs to one file."""

    def __init__(self, opened: EdgeStore) -> None:
        self.__dict__.update(opened.__dict__)

    async def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        if points[0].passage.path == "docs/tokens.md":
            raise OSError("disk full")
        await super().upsert(tenant, points)


@pytest.mark.asyncio
async def test_file_that_cannot_be_stored_does_not_stop_the_others(
    indexer: Indexer, corpus: list[Document], edge_store: EdgeStore
) -> None:
    report = await replace(indexer, store=_RefusesTokens(edge_store)).sync(SHARED_TENANT, corpus)
    assert report.failed == {"docs/tokens.md": "OSError: disk full"}
    assert await indexed(edge_store) == {"docs/passwords.md", "docs/kitchen.md"}


@pytest.mark.asyncio
async def test_other_fingerprint_is_built_beside_the_old_index(
    tmp_path: Path, embedder: Embedder, encoder: SparseEncoder, corpus: list[Document], embedded: list[str]
) -> None:
    old_digest = fingerprint_of(embedder).digest()
    new_digest = replace(fingerprint_of(embedder), chunker="next").digest()
    old = open_edge_store(tmp_path, old_digest)
    await Indexer(embedder, encoder, old, old_digest).sync(SHARED_TENANT, corpus)
    await old.close()
    embedded.clear()

    new = open_edge_store(tmp_path, new_digest)
    await Indexer(embedder, encoder, new, new_digest).sync(SHARED_TENANT, corpus)
    assert len(embedded) == 4
    assert (tmp_path / old_digest).exists()
    assert len(await indexed(new)) == 3
    await new.close()


class _MeetsAnother(OnnxEmbedder):
    """The shipped model, which embeds no text before another one is there to be embedded."""

    def __init__(self) -> None:
        super().__init__(SHIPPED, threads=1)
        self._meeting = threading.Barrier(2, timeout=60)

    def embed(self, text: str) -> Vector:
        self._meeting.wait()
        return super().embed(text)


@pytest.mark.asyncio
async def test_as_many_chunks_of_a_document_are_embedded_side_by_side_as_the_lane_takes(
    encoder: SparseEncoder, edge_store: EdgeStore
) -> None:
    document = Document("four.md", "".join(f"# Heading {n}\n\n{'word ' * n}\n\n" for n in range(1, 5)), "markdown")
    report = await Indexer(_MeetsAnother(), encoder, edge_store, "index", Lane(2)).sync("acme", [document])
    assert (report.embedded, report.failed) == (4, {})


class _Parser(CodeParser):
    """Does what a test wants, and then finds nothing."""

    def __init__(self, first: Callable[[], object]) -> None:
        super().__init__()
        self._first = first

    def sections(self, text: str, language: str) -> list[Section]:
        self._first()
        return []


CODE = Document("shop.py", "total = 1\n", "code", language="python")


@pytest.mark.asyncio
async def test_query_is_answered_while_the_parser_holds_up_documents_of_every_tenant(
    indexer: Indexer, corpus: list[Document], embedder: Embedder, encoder: SparseEncoder, edge_store: EdgeStore
) -> None:
    await indexer.sync(SHARED_TENANT, corpus)
    begun, end = threading.Event(), threading.Event()
    held_up = replace(indexer, parser=_Parser(lambda: (begun.set(), end.wait(120))))
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    puts = [asyncio.create_task(held_up.put(f"tenant-{n}", CODE)) for n in range(8)]
    try:
        while not begun.is_set():
            await asyncio.sleep(0)
        engine = SearchEngine(embedder, encoder, edge_store, lane=indexer.lane)
        result = await asyncio.wait_for(engine.search(SearchQuery("how are passwords hashed?", Scope("acme"))), 60)
        assert result.hits[0].passage.path == "docs/passwords.md"
    finally:
        end.set()
        assert await asyncio.gather(*puts) == [1] * 8


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOMEM, "no process"), OSError),
        (OSError(errno.EMFILE, "no descriptor"), OSError),
        (ValueError("no such node"), Unindexable),
    ],
    ids=["memory", "descriptors", "text"],
)
async def test_trouble_of_the_machine_is_not_called_the_documents_fault(
    indexer: Indexer, error: Exception, raised: type[Exception]
) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(raised):
        await replace(indexer, parser=_Parser(fail)).put("acme", CODE)


BIG = Document("big.md", "".join(f"# Heading {n}\n\nParagraph {n}.\n\n" for n in range(150)), "markdown")

KILLED_WHILE_EMBEDDING = """
import asyncio, os, signal, sys
from pathlib import Path
from worksite.rag.backends.onnx import OnnxEmbedder
from worksite.rag.domain.documents import Document
from worksite.rag.embedder import SHIPPED
from worksite.rag.index import Indexer
from worksite.rag.stores.sparse import SparseEncoder
from worksite.rag.stores.edge import open_edge_store

class DiesAt100(OnnxEmbedder):
    calls = 0
    def embed(self, text):
        self.calls += 1
        if self.calls == 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().embed(text)

store = open_edge_store(Path(sys.argv[1]), "0123456789abcdef")
indexer = Indexer(DiesAt100(SHIPPED, 1), SparseEncoder(), store, "worksite-0123456789abcdef")
asyncio.run(indexer.sync("shared", [Document("big.md", sys.stdin.read(), "markdown")]))
"""


@pytest.mark.asyncio
async def test_kill_in_the_middle_of_a_file_leaves_an_index_that_answers_and_the_next_pass_finishes_it(
    tmp_path: Path, embedder: Embedder, encoder: SparseEncoder
) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_EMBEDDING, str(tmp_path)]
    killed = subprocess.run(command, input=BIG.text, text=True, check=False)  # noqa: ASYNC221
    assert killed.returncode == -signal.SIGKILL

    store = open_edge_store(tmp_path, "0123456789abcdef")
    found = await SearchEngine(embedder, encoder, store).search(SearchQuery("Heading 7", Scope("acme")))
    assert found.hits[0].passage.text == "# Heading 7\n\nParagraph 7."

    report = await Indexer(embedder, encoder, store, "worksite-0123456789abcdef").sync(SHARED_TENANT, [BIG])
    assert (report.chunks, report.embedded, report.deleted) == (150, 150 - 96, 0)
    assert len((await store.revisions(SHARED_TENANT))["big.md"]) == 150
    await store.close()
