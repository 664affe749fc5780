"""Keeps what can be searched of a tenant's documents equal to their rows in the bucket `documents`.

The row is the truth; whatever makes somebody look at it is only a hint. A document's row changes last, by
compare-and-set, after everything it speaks of is done:

    queued    chunks written, stale chunks removed -> row `indexed`, or `failed` with the reason
    deleting  chunks removed -> blob removed -> row removed

Killed at any point, the row still says what is wanted, and the next look does the rest: chunk ids follow from the text,
so writing them twice is the same as once. A row that somebody changed meanwhile is read again and done again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Literal

from worksite.common.artifacts import Artifacts
from worksite.common.bus import Entry, KeyValue
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, Conflict
from worksite.common.messages import DocumentEntry, document_id
from worksite.rag.converting import Converter
from worksite.rag.domain.changes import is_whole
from worksite.rag.domain.documents import Document, Unindexable
from worksite.rag.domain.entries import (
    LARGEST_BLOB,
    Content,
    content_of,
    document_of,
    failed,
    indexed,
    is_settled,
    parse_row,
    row_key,
)
from worksite.rag.index import Indexer

_MARKER_SECONDS = 60.0
"""The marker of a deleted row serves nobody, and the bucket keeps everything else for ever."""
Outcome = Literal["indexed", "failed", "deleted", "unchanged"]


@dataclass(frozen=True, slots=True)
class Keeper:
    """Settles one document at a time; the caller sees to it that no two of its calls are about the same one."""

    rows: KeyValue
    texts: Artifacts
    indexer: Indexer
    converter: Converter = field(default_factory=Converter)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def settle(self, tenant: str, document: str) -> Outcome:
        """Make the index agree with a document's row.

        Raises MalformedMessage for a row that cannot be read. Everything else it raises (BusUnavailable, the
        store's errors) is trouble that says nothing about the document: look at it again later.
        """
        while True:  # each turn after the first means that somebody else has written
            with suppress(Conflict):
                row = await self.rows.newest(row_key(tenant, document))  # an old one would be taken for settled
                return await self._settle(row) if row else await self._forget(tenant, document)

    async def _settle(self, row: Entry) -> Outcome:
        entry = parse_row(row.key, row.value)
        if entry.state == "deleting":
            return await self._delete(entry, row)
        stored = (await self.indexer.store.revisions(entry.tenant, entry.path)).get(entry.path, {})
        if is_settled(entry, len(stored), sum(one.source == entry.text.sha256 for one in stored.values())):
            return "unchanged"
        if entry.state == "indexed" and is_whole(stored, entry.text.sha256):  # only the row is behind
            return await self._told(entry, row, len(stored))
        return await self._index(entry, row)

    async def _index(self, entry: DocumentEntry, row: Entry) -> Outcome:
        try:
            document = await stored_document(self.texts, self.converter, entry)
            chunks = await self.indexer.put(entry.tenant, document)
        except Unindexable as error:
            await self.indexer.remove(entry.tenant, entry.path)  # an earlier version must not answer in its place
            await self.rows.update(row.key, failed(entry, str(error)).to_json(), row.revision)
            return "failed"
        return await self._told(entry, row, chunks)

    async def _told(self, entry: DocumentEntry, row: Entry, chunks: int) -> Outcome:
        await self.rows.update(row.key, indexed(entry, chunks, self.now()).to_json(), row.revision)
        return "indexed"

    async def _delete(self, entry: DocumentEntry, row: Entry) -> Outcome:
        await self.indexer.remove(entry.tenant, entry.path)
        await self.texts.remove(entry.text)  # before the row, which alone knows of it
        await self.rows.delete(row.key, row.revision, _MARKER_SECONDS)
        return "deleted"

    async def _forget(self, tenant: str, document: str) -> Outcome:
        """There is no such row: what the index holds under this id is left over, e.g. from before the bus was reset."""
        return "deleted" if await remove_document(self.indexer, tenant, document) else "unchanged"


async def stored_document(texts: Artifacts, converter: Converter, entry: DocumentEntry) -> Document:
    """The document that a row names. Raises Unindexable."""
    content = await _content(texts, entry)
    if isinstance(content.data, str):
        return document_of(entry, content.source, content.data)
    suffix = PurePosixPath(entry.path).suffix.lower()
    return document_of(entry, content.source, await converter.markdown(content.data, suffix))


async def _content(texts: Artifacts, entry: DocumentEntry) -> Content:
    if entry.text.size > LARGEST_BLOB:
        raise Unindexable(f"its text takes {entry.text.size} bytes; at most {LARGEST_BLOB} are read")
    try:
        blob = await texts.get(entry.text)
    except (ArtifactMissing, ArtifactCorrupt) as error:
        raise Unindexable(f"its stored text is lost ({error}); send the document again") from error
    return await asyncio.to_thread(content_of, entry, blob)


async def remove_document(indexer: Indexer, tenant: str, document: str) -> bool:
    """Remove what the index holds under the id of a document whose path nobody knows; was there anything?"""
    left = [path for path in await indexer.store.revisions(tenant) if document_id(path) == document]
    for path in left:
        await indexer.remove(tenant, path)
    return bool(left)
