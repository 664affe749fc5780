"""A look at everything, at start and again and again: finds what no message speaks of any more.

That is a row whose message was lost, a document whose chunks went with the index folder, belong to another
fingerprint or came back with an older copy, chunks without a row, and texts that no row refers to since they were
replaced, were cut off, or never came to have one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from worksite.common.artifacts import Artifacts
from worksite.common.bus import Entry, KeyValue
from worksite.common.bus.consumer import backoff
from worksite.common.errors import MalformedMessage
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import DocumentEntry, document_id
from worksite.rag.backlog import Backlog
from worksite.rag.domain.entries import is_settled, parse_row, row_key
from worksite.rag.index import Indexer
from worksite.rag.store import Counts, VectorStore

log = logging.getLogger(__name__)

INTERVAL_SECONDS = 600.0
TEXT_GRACE = timedelta(hours=1)
"""How long a text may wait for its row, which is written after it, before it counts as left over."""


async def remove_deleted(rows: KeyValue, indexer: Indexer) -> None:
    """Remove the chunks of documents without a row, before they answer: an index that was put back may hold some.

    Tries until the bus and the store can be asked.
    """
    failures = 0
    while True:
        try:
            await _remove_deleted(rows, indexer)
        except Exception as error:  # the boundary: their probes and logs tell
            failures += 1
            log.warning("deleted documents could not be looked for: %s", error or repr(error))
            await asyncio.sleep(backoff(failures))
        else:
            return


async def _remove_deleted(rows: KeyValue, indexer: Indexer) -> None:
    known = {row.key for row in await rows.entries()}
    for tenant, paths in (await indexer.store.counts()).items():
        for path in paths if tenant != SHARED_TENANT else ():
            key = row_key(tenant, document_id(path))
            if key not in known and await rows.newest(key) is None:  # a replica that lags may not know it yet
                await indexer.remove(tenant, path)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Adds to the backlog whatever does not agree, and removes texts that are left over."""

    rows: KeyValue
    texts: Artifacts
    store: VectorStore
    backlog: Backlog

    async def run(self) -> None:
        """Until cancelled; sooner again after trouble."""
        failures = 0
        while True:
            try:
                await self.look(datetime.now(UTC))
                failures = 0
            except Exception as error:  # the boundary: bus or store are away, which their probes and logs tell
                failures += 1
                log.warning("not all documents could be looked at: %s", error or repr(error))
            await asyncio.sleep(backoff(failures) if failures else INTERVAL_SECONDS)

    async def look(self, now: datetime) -> None:
        """Once over everything."""
        found = await self.rows.entries()
        entries = await asyncio.to_thread(_parsed, found)
        self._add_unsettled(entries, await self.store.counts(), await self.store.counts("source"))
        if len(entries) == len(found):  # else nobody knows which texts the others refer to
            await self._remove_texts_but({entry.text.sha256 for entry, _ in entries}, now)

    def _add_unsettled(
        self, entries: Collection[tuple[DocumentEntry, datetime]], stored: Counts, sources: Counts
    ) -> None:
        for entry, written_at in entries:
            chunks = stored.get(entry.tenant, {}).pop(entry.path, 0)
            if not is_settled(entry, chunks, sources.get(entry.tenant, {}).get(entry.text.sha256, 0)):
                asked_for = entry.state in {"queued", "deleting"}
                self.backlog.add(entry.tenant, entry.id, written_at.timestamp() if asked_for else None)
        for tenant in stored.keys() - {SHARED_TENANT}:
            for path in stored[tenant]:
                self.backlog.add(tenant, document_id(path))

    async def _remove_texts_but(self, kept: Collection[str], now: datetime) -> None:
        removed = await self.texts.remove_all_but(kept, now - TEXT_GRACE)
        if removed.blobs:
            log.info("removed %d texts that no document refers to", removed.blobs)


def _parsed(rows: Iterable[Entry]) -> list[tuple[DocumentEntry, datetime]]:
    """Those that can be read, each with the time when it was written."""
    entries: list[tuple[DocumentEntry, datetime]] = []
    for row in rows:
        try:
            entries.append((parse_row(row.key, row.value), row.written_at))
        except MalformedMessage as error:
            log.error("%s; it is left alone", error)
    return entries
