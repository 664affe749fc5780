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
from time import perf_counter
from typing import TypeVar
from uuid import UUID

from worksite.rag.domain.changes import Changes, changes_of
from worksite.rag.domain.chunking import MAX_TOKENS, chunk
from worksite.rag.domain.chunking import VERSION as CHUNKER_VERSION
from worksite.rag.domain.documents import Document, Passage, Point, SparseVector, Unindexable, Vector
from worksite.rag.domain.identity import Fingerprint, chunk_ids
from worksite.rag.embedder import Embedder
from worksite.rag.lane import Lane
from worksite.rag.metrics import CHUNKS
from worksite.rag.parsing import CodeParser
from worksite.rag.sparse import VERSION as SPARSE_VERSION
from worksite.rag.sparse import SparseEncoder
from worksite.rag.store import VectorStore

logger = logging.getLogger(__name__)

_BATCH = 16
"""Chunks stored at a time: what a kill loses at most."""
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file, or a folder with all beneath it, that could not be read; what is indexed of it stays."""

    path: str
    reason: str


@dataclass(slots=True)
class IndexReport:
    """What one pass did. `moved` chunks kept their vectors and got new lines; `failed`: path -> reason."""

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


@dataclass(frozen=True, slots=True)
class Indexer:
    """Writes to one store. `index` names the collection and its fingerprint, as part of every chunk id."""

    embedder: Embedder
    encoder: SparseEncoder
    store: VectorStore
    index: str
    lane: Lane = field(default_factory=Lane)
    parser: CodeParser = field(default_factory=CodeParser)

    async def put(self, tenant: str, document: Document) -> int:
        """Bring one document up to date; returns how many chunks it has. Raises Unindexable."""
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

    async def _try_put(self, tenant: str, document: Document, known: Mapping[UUID, str], report: IndexReport) -> None:
        try:
            await self._put(tenant, document, known, report)
        except Exception as error:  # one bad file must not cost the others their place in the index
            _record_failure(report, document.path, f"{type(error).__name__}: {error}")

    async def _put(self, tenant: str, document: Document, known: Mapping[UUID, str], report: IndexReport) -> None:
        chunks = await _computed(chunk, document, self.embedder.count, MAX_TOKENS, self.parser.sections)
        ids = chunk_ids(self.index, tenant, document.path, chunks)
        await self._apply(tenant, changes_of(document, ids, chunks, known), report)
        report.files += 1
        report.chunks += len(chunks)

    async def _apply(self, tenant: str, changes: Changes, report: IndexReport) -> None:
        for first in range(0, len(changes.new), _BATCH):
            points = await self._points(changes.new[first : first + _BATCH])
            await self.store.upsert(tenant, points)
            report.embedded += len(points)
            CHUNKS.labels("embedded").inc(len(points))
        if changes.moved:
            await self.store.replace_passages(tenant, changes.moved)
            report.moved += len(changes.moved)
            CHUNKS.labels("moved").inc(len(changes.moved))
        await self._delete(tenant, changes.gone, report)

    async def _points(self, new: Sequence[tuple[UUID, Passage, str]]) -> list[Point]:
        """Side by side as many as the lane takes, of like length, so that none waits long for its neighbours."""
        waiting = sorted(new, key=lambda one: len(one[2]))
        points: list[Point] = []
        for first in range(0, len(waiting), self.lane.width):
            points += await asyncio.gather(*(self._point(*one) for one in waiting[first : first + self.lane.width]))
        return points

    async def _point(self, chunk_id: UUID, passage: Passage, text: str) -> Point:
        async with self.lane.chunk():
            dense, sparse = await _computed(self._vectors, text)
        return Point(chunk_id, passage, dense, sparse)

    def _vectors(self, text: str) -> tuple[Vector, SparseVector]:
        return self.embedder.embed(text), self.encoder.document(text)

    async def _delete(self, tenant: str, ids: Collection[UUID], report: IndexReport) -> None:
        if ids:
            await self.store.delete(tenant, ids)
            report.deleted += len(ids)
            CHUNKS.labels("removed").inc(len(ids))


async def _computed(call: Callable[..., _T], *arguments: object) -> _T:
    """In a thread. What a text makes fail is the text's fault, unlike what the store cannot do."""
    try:
        return await asyncio.to_thread(call, *arguments)
    except Exception as error:  # neither the parser nor the model's binding names what it raises
        raise Unindexable(f"its text cannot be indexed: {type(error).__name__}: {error}") from error


def _record_failure(report: IndexReport, path: str, reason: str) -> None:
    report.failed[path] = reason
    logger.warning("not indexed: %s: %s", path, reason)
