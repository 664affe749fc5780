"""A tenant's documents: stored and asked for here, indexed by the RAG engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Entry, Envelope, KeyValue
from worksite.common.errors import BusUnavailable, Conflict, QueueFull
from worksite.common.ids import new_id
from worksite.common.messages import DocumentEntry, IndexDocuments, document_id
from worksite.common.messages.knowledge import DocumentState
from worksite.gateway.domain import documents
from worksite.gateway.domain.documents import Wanted
from worksite.gateway.rows import readable

_AT_ONCE = 16
_ROWS_PER_READ = 200
MAX_ROWS_PER_PAGE = 2000
"""A page of a rare state may have to look through many rows: then it ends early."""


class KnowledgeFull(Exception):
    """There is no room for more documents."""


@dataclass(frozen=True)
class Page:
    """Some documents, and the revision to go on after; None: there are no more."""

    documents: list[DocumentEntry]
    go_on_after: int | None


class Knowledge:
    """Keys are `<tenant>.<document>`: nobody can name a key of another tenant.

    The row is the truth and is written before the message that points to it. Whatever breaks in between, the same call
    again finishes it, and the RAG engine finds rows that no message told it of.
    """

    def __init__(self, bus: Bus, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._rows = KeyValue(bus, subjects.DOCUMENTS)
        self._texts = Artifacts(bus, store=subjects.KNOWLEDGE)
        self._now = now

    async def submit(self, tenant: str, wanted: Sequence[Wanted]) -> list[DocumentEntry]:
        """Store texts, files and rows, then tell the RAG engine. Raises KnowledgeFull, QueueFull, BusUnavailable."""
        if not self._bus.reachable:  # a client that is reconnecting would keep the messages and send them later
            raise BusUnavailable("not connected to NATS")
        entries: list[DocumentEntry] = []
        try:
            for start in range(0, len(wanted), _AT_ONCE):
                some = wanted[start : start + _AT_ONCE]
                entries += await asyncio.gather(*(self._queue(tenant, document) for document in some))
        except QueueFull as error:
            raise KnowledgeFull(str(error)) from error
        await self._tell(tenant, [entry.id for entry in entries])
        return entries

    async def remove(self, tenant: str, document: str) -> DocumentEntry | None:
        """Ask for a document's end; None where there is none. Raises QueueFull, BusUnavailable."""
        key = f"{tenant}.{document}"
        while found := await self._rows.newest(key):
            row = readable(DocumentEntry, found)
            if row is None:
                return None
            entry = documents.deleting(row)
            if await self._wrote(key, entry, found):
                await self._tell(tenant, [document])
                return entry
        return None

    async def get(self, tenant: str, document: str) -> DocumentEntry | None:
        """Raises BusUnavailable."""
        key = f"{tenant}.{document}"
        found = await self._rows.get(key) or await self._rows.newest(key)
        return readable(DocumentEntry, found) if found else None

    async def page(self, tenant: str, state: DocumentState | None, after: int, limit: int) -> Page:
        """Documents in the order of their last change, of one state or all. Raises BusUnavailable.

        A row that changes moves to the end, so that it may be seen twice but is never missed.
        """
        found: list[DocumentEntry] = []
        for _ in range(MAX_ROWS_PER_PAGE // _ROWS_PER_READ):
            rows = await self._rows.entries(tenant, after=after, limit=_ROWS_PER_READ)
            for row in rows:
                entry = readable(DocumentEntry, row)
                if entry and state in (None, entry.state):
                    if len(found) == limit:
                        return Page(found, after)
                    found.append(entry)
                after = row.revision
            if len(rows) < _ROWS_PER_READ:
                return Page(found, None)
        return Page(found, after)

    async def _queue(self, tenant: str, wanted: Wanted) -> DocumentEntry:
        key = f"{tenant}.{document_id(wanted.path)}"
        now = self._now()
        blob = await asyncio.to_thread(documents.stored_of, wanted, tenant, now)
        while True:
            found = await self._rows.get(key)
            before = readable(DocumentEntry, found) if found else None
            if before and await asyncio.to_thread(documents.asks_for, before, wanted):
                return before
            stored = await self._texts.put(blob, "application/json")
            entry = documents.queued(wanted, tenant, now, stored, before)
            if await self._wrote(key, entry, found):
                return entry

    async def _wrote(self, key: str, entry: DocumentEntry, found: Entry | None) -> bool:
        """Compare and set; False when somebody else wrote in between."""
        try:
            if found:
                await self._rows.update(key, entry.to_json(), found.revision)
            else:
                await self._rows.create(key, entry.to_json())
        except Conflict:
            return False
        return True

    async def _tell(self, tenant: str, ids: Sequence[str]) -> None:
        message = IndexDocuments(tenant=tenant, documents=tuple(ids))
        envelope = Envelope(message.ce_type(), "gateway", tenant, new_id())
        await self._bus.publish(subjects.work_subject("rag", tenant), message, envelope)
