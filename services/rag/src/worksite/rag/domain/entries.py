"""A row of the bucket `documents`: what it asks for, and what it says once that is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from worksite.common.errors import MalformedMessage
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import DocumentEntry, DocumentFile, DocumentText, document_id
from worksite.common.messages.knowledge import MAX_DOCUMENT_BYTES, MAX_FILE_BYTES
from worksite.rag.domain.documents import Document, Unindexable
from worksite.rag.domain.formats import Source, source_of, text_source_of

LARGEST_BLOB = max(6 * MAX_DOCUMENT_BYTES, 4 * MAX_FILE_BYTES // 3) + 4096
"""JSON writes a control character of a text in six bytes, base64 three bytes of a file in four; the rest is small."""
_STORED: TypeAdapter[DocumentText | DocumentFile] = TypeAdapter(
    Annotated[DocumentText | DocumentFile, Field(discriminator="type")]
)
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


@dataclass(frozen=True, slots=True)
class Content:
    """What is stored of a document: a text, or a file that `source` says has to be converted to one."""

    source: Source
    data: str | bytes


def content_of(entry: DocumentEntry, blob: bytes) -> Content:
    """What a row refers to, from its blob. Raises Unindexable where that is not the document's, or too long."""
    try:
        stored = _STORED.validate_json(blob, extra="ignore")
    except ValidationError as error:
        raise Unindexable("its stored text cannot be read; send the document again") from error
    if (stored.tenant, stored.path) != (entry.tenant, entry.path):
        raise Unindexable("its stored text belongs to another document; send the document again")
    return _text(stored) if isinstance(stored, DocumentText) else _file(stored)


def _text(stored: DocumentText) -> Content:
    source, data = text_source_of(stored.path), stored.text.encode()
    if len(data) > MAX_DOCUMENT_BYTES:
        raise Unindexable(f"its text has {len(data)} bytes; a document may have {MAX_DOCUMENT_BYTES}")
    return Content(source, data if source.is_converted else stored.text)


def _file(stored: DocumentFile) -> Content:
    source = source_of(stored.path)
    if source is None or not source.is_converted:
        raise Unindexable("its name says nothing of a format that is converted here; send it as a text")
    try:
        data = stored.content
    except ValueError as error:
        raise Unindexable("its stored file cannot be read; send the document again") from error
    if len(data) > MAX_FILE_BYTES:
        raise Unindexable(f"it has {len(data)} bytes; a file to convert may have {MAX_FILE_BYTES}")
    return Content(source, data)


def document_of(entry: DocumentEntry, source: Source, text: str) -> Document:
    """The document that a row names."""
    return Document(
        entry.path,
        text,
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
