"""Makes an index that does not answer yet hold tenants' documents, as their rows say; it never changes a row.

The index that answers has a keeper, who settles rows. Here only the chunks are brought in line, so that the two can
look at the same documents at the same time.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from worksite.common.artifacts import Artifacts
from worksite.common.bus import KeyValue
from worksite.common.errors import MalformedMessage
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import DocumentEntry, document_id
from worksite.rag.converting import Converter
from worksite.rag.domain.changes import is_whole
from worksite.rag.domain.documents import Unindexable
from worksite.rag.domain.entries import parse_row, row_key
from worksite.rag.index import Indexer
from worksite.rag.keeper import remove_document, stored_document

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Follower:
    """Follows rows for one index. `hints` are documents to look at again."""

    rows: KeyValue
    texts: Artifacts
    indexer: Indexer
    converter: Converter = field(default_factory=Converter)
    hints: dict[tuple[str, str], None] = field(default_factory=dict[tuple[str, str], None])

    def add(self, tenant: str, document: str) -> None:
        """A row may have changed."""
        self.hints[tenant, document] = None

    async def look(self) -> None:
        """At all rows, and at whatever the index holds without one."""
        for row in await self.rows.entries():
            tenant, _, document = row.key.partition(".")
            self.add(tenant, document)
        for tenant, paths in (await self.indexer.store.counts()).items():
            if tenant != SHARED_TENANT:
                self.hints.update({(tenant, document_id(path)): None for path in paths})
        await self.catch_up()

    async def catch_up(self) -> None:
        """Until there is no hint left. What fails stays one."""
        while self.hints:
            hint = next(iter(self.hints))
            del self.hints[hint]  # before the row is read: whoever writes it from now on leaves another
            try:
                await self._follow(*hint)
            except MalformedMessage as error:
                log.error("%s; it is left alone", error)
            except BaseException:
                self.add(*hint)
                raise

    async def _follow(self, tenant: str, document: str) -> None:
        row = await self.rows.newest(row_key(tenant, document))
        entry = parse_row(row.key, row.value) if row else None
        if entry is None:
            await remove_document(self.indexer, tenant, document)
            return
        if entry.state in ("deleting", "failed"):
            await self.indexer.remove(tenant, entry.path)
            return
        stored = (await self.indexer.store.revisions(tenant, entry.path)).get(entry.path, {})
        if not is_whole(stored, entry.text.sha256):
            await self._index(entry)

    async def _index(self, entry: DocumentEntry) -> None:
        try:
            await self.indexer.put(entry.tenant, await stored_document(self.texts, self.converter, entry))
        except Unindexable as error:  # its row is told so by the keeper, once this index answers
            log.warning("document %s of %s cannot be indexed anew: %s", entry.id, entry.tenant, error)
            await self.indexer.remove(entry.tenant, entry.path)
