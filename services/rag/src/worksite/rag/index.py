"""Keeps an index equal to a set of documents, embedding only what changed.

The store is the only record of what is indexed, so nothing can disagree with it. Each file is brought up to date by
itself: new chunks first, then the removal of old ones. A process killed in between leaves chunks too many, never
too few, and the next pass over the same documents mends it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TypeVar
from uuid import UUID

from worksite.rag.domain.changes import Changes, changes_of, is_whole
from worksite.rag.domain.chunking import VERSION as CHUNKER_VERSION
from worksite.rag.domain.chunking import chunk
from worksite.rag.domain.documents import Document, Passage, Point, Unindexable, Vector
from worksite.rag.domain.identity import Fingerprint, Manifest, Revision, chunk_ids
from worksite.rag.embedder import Embedder
from worksite.rag.embedding_cache import EmbeddingCache
from worksite.rag.lane import Lane
from worksite.rag.metrics import CHUNKS
from worksite.rag.parsing import CodeParser
from worksite.rag.store import VectorStore
from worksite.rag.stores.sparse import VERSION as SPARSE_VERSION
from worksite.rag.stores.sparse import SparseEncoder

logger = logging.getLogger(__name__)

_BATCH = 16
"""Chunks stored at a time: what a kill loses at most."""
MAX_LINES = 100_000
"""Of one document: the time that it takes to be cut grows with its lines, and ends before it is taken for a hang."""
MAX_CHUNKS = 20_000
"""Of one document: 2 MiB of this project's documentation make 4,148, and 200 kB of nothing but headings 33,333."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or a folder with all beneath it, that could not be read; what is indexed of it stays."""

    path: str
    reason: str


@dataclass(slots=True)
class IndexReport:
    """What one pass did. `embedded` counts what the model computed, not what was known from before.

    `moved` chunks kept their vectors and got new lines; `failed`: path -> reason.
    """

    files: int = 0
    chunks: int = 0
    embedded: int = 0
    moved: int = 0
    deleted: int = 0
    failed: dict[str, str] = field(default_factory=dict[str, str])
    seconds: float = 0.0


def fingerprint_of(embedder: Embedder) -> Fingerprint:
    """The fingerprint of the vectors that this engine makes."""
    model = f"{embedder.backend} {embedder.model_hash}"
    return Fingerprint(model, embedder.tokenizer_hash, CHUNKER_VERSION, SPARSE_VERSION)


def manifest_of(embedder: Embedder, name: str) -> Manifest:
    """The manifest of an index that this engine makes with a model of this name, which may be a folder."""
    where = str(Path(name).resolve()) if Path(name).is_dir() else name
    return Manifest(fingerprint_of(embedder), where, embedder.backend, embedder.dimensions)


@dataclass(frozen=True, slots=True)
class Indexer:
    """Writes to one store. `index` names the collection and its fingerprint, as part of every chunk id.

    With a `cache`, no text is embedded that any model call was spent on before.
    """

    embedder: Embedder
    encoder: SparseEncoder
    store: VectorStore
    index: str
    lane: Lane = field(default_factory=Lane)
    cache: EmbeddingCache | None = None
    parser: CodeParser = field(default_factory=CodeParser)

    async def put(self, tenant: str, document: Document) -> int:
        """Bring one document up to date; returns how many chunks it has.

        Raises Unindexable, and OSError where the machine has no process or thread left, which is no fault of it.
        """
        known = await self.store.revisions(tenant, document.path)
        report = IndexReport()
        await self._put(tenant, document, known.get(document.path, {}), report)
        return report.chunks

    async def remove(self, tenant: str, path: str) -> None:
        """Remove one document, as far as it is there."""
        known = await self.store.revisions(tenant, path)
        await self._delete(tenant, known.get(path, {}).keys(), IndexReport())

    async def sync(
        self, tenant: str, documents: Iterable[Document | Unreadable], below: str | None = None
    ) -> IndexReport:
        """Make what a tenant has indexed (`below` a folder only) equal to these documents: add, change and remove.

        A file that fails is recorded, logged and left as it was in the index; it never stops the others.
        """
        report = IndexReport()
        started = perf_counter()
        revisions = await self.store.revisions(tenant)
        stored = {path: known for path, known in revisions.items() if below is None or path.startswith(f"{below}/")}
        for document in documents:
            known = stored.pop(document.path, {})
            if isinstance(document, Unreadable):
                _record_failure(report, document.path, document.reason)
            else:
                await self._try_put(tenant, document, known, report)
        for path, known in stored.items():
            if not any(path.startswith(f"{failed}/") for failed in report.failed):
                await self._delete(tenant, known.keys(), report)
        report.seconds = perf_counter() - started
        return report

    async def _try_put(
        self, tenant: str, document: Document, known: Mapping[UUID, Revision], report: IndexReport
    ) -> None:
        if document.source and is_whole(known, document.source):
            report.files += 1
            report.chunks += len(known)
            return
        try:
            await self._put(tenant, document, known, report)
        except Exception as error:  # one bad file must not cost the others their place in the index
            _record_failure(report, document.path, f"{type(error).__name__}: {error}")

    async def _put(self, tenant: str, document: Document, known: Mapping[UUID, Revision], report: IndexReport) -> None:
        async with self.lane.cutting():
            chunks, changes = await self._computed(self._changes, tenant, document, known)
        await self._apply(tenant, changes, report)
        report.files += 1
        report.chunks += chunks

    def _changes(self, tenant: str, document: Document, known: Mapping[UUID, Revision]) -> tuple[int, Changes]:
        """How many chunks there are, and what has to be written. For a thread: a long document takes a second."""
        text = document.text
        if (lines := max(text.count("\n"), text.count("\r"))) > MAX_LINES:
            raise Unindexable(f"it has {lines} lines; at most {MAX_LINES} of a document are indexed")
        chunks = chunk(document, self.embedder.count, code=self.parser.sections)
        if len(chunks) > MAX_CHUNKS:
            raise Unindexable(f"its text makes {len(chunks)} passages; at most {MAX_CHUNKS} of a document are indexed")
        ids = chunk_ids(self.index, tenant, document.path, chunks)
        return len(chunks), changes_of(document, ids, chunks, known)

    async def _apply(self, tenant: str, changes: Changes, report: IndexReport) -> None:
        for first in range(0, len(changes.new), _BATCH):
            points = await self._points(changes.new[first : first + _BATCH], report)
            await self.store.upsert(tenant, points)
        if changes.moved:
            await self.store.replace_passages(tenant, changes.moved)
            report.moved += len(changes.moved)
            CHUNKS.labels("moved").inc(len(changes.moved))
        await self._delete(tenant, changes.gone, report)

    async def _points(self, new: Sequence[tuple[UUID, Passage, str]], report: IndexReport) -> list[Point]:
        """What the cache does not know is embedded, each text once, and remembered."""
        model = fingerprint_of(self.embedder).embedding
        texts = [text for _, _, text in new]
        known = await self.cache.find(model, texts) if self.cache else {}
        fresh = await self._embedded({text for text in texts if text not in known})
        if self.cache:
            await self.cache.keep(model, fresh)
        report.embedded += len(fresh)
        CHUNKS.labels("embedded").inc(len(fresh))
        CHUNKS.labels("remembered").inc(len(texts) - len(fresh))
        return await self._computed(self._assembled, new, known | fresh)

    async def _embedded(self, texts: Collection[str]) -> dict[str, Vector]:
        """Side by side as many as the lane takes, of like length, so that none waits long for its neighbours."""
        waiting = sorted(texts, key=len)
        vectors: dict[str, Vector] = {}
        for first in range(0, len(waiting), self.lane.width):
            some = waiting[first : first + self.lane.width]
            vectors |= zip(some, await asyncio.gather(*map(self._vector, some)), strict=True)
        return vectors

    async def _vector(self, text: str) -> Vector:
        async with self.lane.chunk():
            return await self._computed(self.embedder.embed, text)

    def _assembled(self, new: Sequence[tuple[UUID, Passage, str]], dense: Mapping[str, Vector]) -> list[Point]:
        return [Point(one, passage, dense[text], self.encoder.document(text)) for one, passage, text in new]

    async def _computed(self, call: Callable[..., _T], *arguments: object) -> _T:
        """In a thread. What a text makes fail is the text's fault, unlike what the machine or the store cannot do."""
        try:
            return await self.lane.computed(call, *arguments)
        except (Unindexable, OSError):
            raise
        except Exception as error:  # neither the parser nor the model's binding names what it raises
            raise Unindexable(f"its text cannot be indexed: {type(error).__name__}: {error}") from error

    async def _delete(self, tenant: str, ids: Collection[UUID], report: IndexReport) -> None:
        if ids:
            await self.store.delete(tenant, ids)
            report.deleted += len(ids)
            CHUNKS.labels("removed").inc(len(ids))


def _record_failure(report: IndexReport, path: str, reason: str) -> None:
    report.failed[path] = reason
    logger.warning("not indexed: %s: %s", path, reason)
