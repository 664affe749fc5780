"""A row of the bucket `documents`: what it asks for, and what it says once that is done."""

from __future__ import annotations

from datetime import datetime

from pydantic import ValidationError
from worksite.common.errors import MalformedMessage
from worksite.common.messages import SHARED_TENANT, DocumentEntry, DocumentText, document_id
from worksite.common.messages.knowledge import MAX_DOCUMENT_BYTES
from worksite.rag.domain.documents import Document, Unindexable
from worksite.rag.domain.formats import text_source_of

LARGEST_BLOB = 6 * MAX_DOCUMENT_BYTES + 2048
"""Of a DocumentText: JSON writes a control character in six bytes; the rest of it is small."""
_ERROR_CHARACTERS = 500


def row_key(tenant: str, document: str) -> str:
    """Where the row of a document is."""
    return f"{tenant}.{document}"


def parse_row(key: str, value: bytes) -> DocumentEntry:
    """Raises MalformedMessage for what is no row, is another's, or belongs to the tenant that folders feed."""
    try:
        entry = DocumentEntry.consume(value)
    except ValidationError as error:
        raise MalformedMessage(f"row {key} cannot be read: {error}") from error
    if key != row_key(entry.tenant, document_id(entry.path)) or entry.tenant == SHARED_TENANT:
        raise MalformedMessage(f"row {key} may not hold a document of tenant {entry.tenant}")
    return entry


def document_of(entry: DocumentEntry, blob: bytes) -> Document:
    """The document that a row names, from its blob. Raises Unindexable where that is not its text, or too long."""
    try:
        text = DocumentText.consume(blob)
    except ValidationError as error:
        raise Unindexable("its stored text cannot be read; send the document again") from error
    if (text.tenant, text.path) != (entry.tenant, entry.path):
        raise Unindexable("its stored text belongs to another document; send the document again")
    if (size := len(text.text.encode())) > MAX_DOCUMENT_BYTES:
        raise Unindexable(f"its text has {size} bytes; a document may have {MAX_DOCUMENT_BYTES}")
    source = text_source_of(entry.path)
    return Document(
        entry.path,
        text.text,
        source.format,
        tags=entry.tags,
        language=source.language,
        updated_at=entry.submitted_at,
        source=entry.text.sha256,
    )


def is_settled(entry: DocumentEntry, stored: int, of_its_text: int) -> bool:
    """Is there nothing to do? `stored` chunks are in the index, `of_its_text` of them made from the row's text.

    They disagree with the row when the index was lost, or is older than the row, as after putting back a copy.
    """
    if entry.state == "failed":
        return not stored
    return entry.state == "indexed" and entry.chunks == stored == of_its_text


def indexed(entry: DocumentEntry, chunks: int, now: datetime) -> DocumentEntry:
    """The row once all of its chunks can be searched."""
    return entry.model_copy(update={"state": "indexed", "error": None, "chunks": chunks, "indexed_at": now})


def failed(entry: DocumentEntry, reason: str) -> DocumentEntry:
    """The row once it is clear that its text cannot be searched, whoever tries."""
    reason = reason if len(reason) <= _ERROR_CHARACTERS else reason[: _ERROR_CHARACTERS - 1] + "…"
    return entry.model_copy(update={"state": "failed", "error": reason, "chunks": 0, "indexed_at": None})
