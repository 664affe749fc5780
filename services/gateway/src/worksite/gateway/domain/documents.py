"""What a client sends to be searched, the row it becomes, and what the client sees of it."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Self

from pydantic import Field, field_validator, model_validator
from worksite.common.messages import ArtifactRef, DocumentEntry, DocumentFile, DocumentText, Model, document_id
from worksite.common.messages.knowledge import (
    MAX_DOCUMENT_BYTES,
    MAX_FILE_BYTES,
    DocumentPath,
    DocumentState,
    Tags,
)

MAX_DOCUMENTS = 500
_ID = re.compile(r"[0-9a-f]{32}")


class NewDocument(Model):
    """One text."""

    path: DocumentPath = Field(description="relative, with '/'; names the document and is shown with what is found")
    text: str = Field(description=f"not empty; at most {MAX_DOCUMENT_BYTES} bytes of UTF-8")
    tags: Tags = Field(default=(), description="for search filters")

    @field_validator("text")
    @classmethod
    def _is_text(cls, text: str) -> str:
        if (at := text.find("\0")) >= 0:
            raise ValueError(f"binary: a zero character after {at} characters; only text can be sent")
        if not text.strip():
            raise ValueError("empty")
        return text

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (size := len(self.text.encode())) > MAX_DOCUMENT_BYTES:
            raise ValueError(
                f"{self.path}: {size} bytes; a text may have {MAX_DOCUMENT_BYTES}: split it, or leave it out"
            )
        return self


class NewFile(Model):
    """One file of a format that the RAG engine converts to a text: HTML, PDF, DOCX."""

    path: DocumentPath
    content: bytes
    tags: Tags = ()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (size := len(self.content)) > MAX_FILE_BYTES:
            raise ValueError(f"{self.path}: {size} bytes; a file to convert may have {MAX_FILE_BYTES}")
        return self


Wanted = NewDocument | NewFile


class NewDocuments(Model):
    """The body of `POST /v1/knowledge/documents`."""

    documents: tuple[NewDocument, ...] = Field(min_length=1, max_length=MAX_DOCUMENTS)

    @field_validator("documents")
    @classmethod
    def _each_path_once(cls, documents: tuple[NewDocument, ...]) -> tuple[NewDocument, ...]:
        paths = [document.path for document in documents]
        if repeated := sorted({path for path in paths if paths.count(path) > 1}):
            raise ValueError(f"each path once: {', '.join(repeated[:3])}")
        return documents


class DocumentLinks(Model):
    self: str


class DocumentView(Model):
    """A document as far as it has come."""

    id: str = Field(description="the same for the same path")
    path: str
    tags: tuple[str, ...]
    state: DocumentState = Field(description="queued: what was found before is found until the new text is indexed")
    error: str | None = Field(description="state failed: why")
    chunks: int = Field(description="passages that can be found")
    submitted_at: datetime
    indexed_at: datetime | None
    task: str | None = Field(description="the task that it is a result of; null: a client sent it")
    links: DocumentLinks


class DocumentList(Model):
    """Those that changed longest ago first; what changes while you page turns up again at the end."""

    documents: tuple[DocumentView, ...]
    next: str | None = Field(description="cursor of the page after this one; null: there is none")


class RefusedFile(Model):
    """A file of a form that was not taken."""

    path: str = Field(description="what it would have been named")
    message: str


class AcceptedDocuments(Model):
    """In the order in which they were sent."""

    documents: tuple[DocumentView, ...]
    refused: tuple[RefusedFile, ...] = Field(default=(), description="files of a form that were not taken, and why")


def is_document_id(text: str) -> bool:
    """Could this be the id of a document at all?"""
    return _ID.fullmatch(text) is not None


def stored_of(wanted: Wanted, tenant: str, submitted_at: datetime) -> bytes:
    """What is stored of it, beside its row; as large as the document, so not for the event loop."""
    if isinstance(wanted, NewFile):
        return DocumentFile.of(tenant, wanted.path, wanted.content, submitted_at).to_json()
    return DocumentText(tenant=tenant, path=wanted.path, text=wanted.text, submitted_at=submitted_at).to_json()


def asks_for(entry: DocumentEntry, wanted: Wanted) -> bool:
    """Is this row already on its way to the same, or there? As large a piece of work as `stored_of`."""
    if entry.state not in {"queued", "indexed"} or entry.tags != wanted.tags:
        return False
    stored = stored_of(wanted, entry.tenant, entry.submitted_at)
    return hashlib.sha256(stored).hexdigest() == entry.text.sha256


def queued(
    wanted: Wanted, tenant: str, submitted_at: datetime, stored: ArtifactRef, before: DocumentEntry | None
) -> DocumentEntry:
    """The row that asks for a document. What was found before is found until that is done."""
    return DocumentEntry(
        tenant=tenant,
        id=document_id(wanted.path),
        path=wanted.path,
        tags=wanted.tags,
        text=stored,
        state="queued",
        chunks=before.chunks if before else 0,
        submitted_at=submitted_at,
        indexed_at=before.indexed_at if before else None,
    )


def deleting(before: DocumentEntry) -> DocumentEntry:
    """The row that asks for a document's end."""
    return before.model_copy(update={"state": "deleting", "error": None})


def document_view(entry: DocumentEntry) -> DocumentView:
    """What a client sees of a row."""
    return DocumentView(
        id=entry.id,
        path=entry.path,
        tags=entry.tags,
        state=entry.state,
        error=entry.error,
        chunks=entry.chunks,
        submitted_at=entry.submitted_at,
        indexed_at=entry.indexed_at,
        task=entry.origin.task if entry.origin else None,
        links=DocumentLinks(self=f"/v1/knowledge/documents/{entry.id}"),
    )
