"""A tenant's own documents: what is to be searched, and how far the RAG engine has come with it."""

from __future__ import annotations

import base64
import hashlib
from datetime import datetime
from pathlib import PurePosixPath
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints
from worksite.common.messages.artifacts import ArtifactRef
from worksite.common.messages.base import PLAIN, Message, Model, TaskId, Tenant

MAX_DOCUMENT_BYTES = 2 << 20
"""Of one text, as UTF-8. Larger files are generated rather than written."""
MAX_FILE_BYTES = 15 << 20
"""Of one file that has to be converted to a text first: most of it is pictures and fonts."""
CONVERTED_SUFFIXES = frozenset({".docx", ".htm", ".html", ".pdf"})


def _relative(path: str) -> str:
    if path.startswith("/") or "\\" in path or any(part in {"", ".", ".."} for part in path.split("/")):
        raise ValueError("not a relative path with '/': no leading '/', no '\\\\', no empty part, no '.' and no '..'")
    return path


DocumentPath = Annotated[str, StringConstraints(min_length=1, max_length=400), PLAIN, AfterValidator(_relative)]
"""Names a document among its tenant's; citations show it."""
DocumentId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""See `document_id`."""
Tag = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,49}$")]
Tags = Annotated[tuple[Tag, ...], Field(max_length=20)]
DocumentState = Literal["queued", "indexed", "failed", "deleting"]


def document_id(path: str) -> str:
    """The same for the same path: sending a document again replaces it."""
    return hashlib.sha256(path.encode()).hexdigest()[:32]


def is_converted(path: str) -> bool:
    """Does the name say that the RAG engine has to convert the file to a text?"""
    return PurePosixPath(path).suffix.lower() in CONVERTED_SUFFIXES


class DocumentText(Message):
    """A document's text as the object store `knowledge` keeps it.

    It names its owner, its path and the time of its row, so that no two submissions share a blob: what one of them
    leaves behind can be removed at any time, even while the same text is being sent again.
    """

    type: Literal["document_text"] = "document_text"
    tenant: Tenant
    path: DocumentPath
    text: str
    submitted_at: datetime


class DocumentFile(Message):
    """A document as a file that has yet to be converted, in place of a DocumentText; what is said there holds here."""

    type: Literal["document_file"] = "document_file"
    tenant: Tenant
    path: DocumentPath
    content_base64: str
    submitted_at: datetime

    @classmethod
    def of(cls, tenant: str, path: str, content: bytes, submitted_at: datetime) -> Self:
        """With these bytes."""
        encoded = base64.b64encode(content).decode()
        return cls(tenant=tenant, path=path, content_base64=encoded, submitted_at=submitted_at)

    @property
    def content(self) -> bytes:
        """The file. Raises ValueError where it is no base64, which `of` never writes."""
        return base64.b64decode(self.content_base64, validate=True)


class TaskOrigin(Model):
    """Of a document that is a result of a task."""

    task: TaskId
    project: str = Field(max_length=1100, description="equal for tasks on one project")


class DocumentEntry(Message):
    """A row of the bucket `documents`: what the client wants, and how far it has come.

    The row is the truth; `IndexDocuments` only says that somebody should look at it. The gateway writes what is
    wanted, the RAG engine what became of it, both by compare-and-set.
    """

    type: Literal["document_entry"] = "document_entry"
    tenant: Tenant
    id: DocumentId
    path: DocumentPath
    tags: Tags = ()
    text: ArtifactRef = Field(description="a DocumentText or DocumentFile in the object store `knowledge`")
    state: DocumentState
    error: str | None = Field(default=None, max_length=500, description="why it failed")
    chunks: int = Field(default=0, ge=0, description="how many can be searched")
    submitted_at: datetime
    indexed_at: datetime | None = None
    origin: TaskOrigin | None = Field(default=None, description="null: a client sent it")


class IndexDocuments(Message):
    """Look at these rows again and make the index agree with them."""

    type: Literal["index_documents"] = "index_documents"
    tenant: Tenant
    documents: tuple[DocumentId, ...] = Field(min_length=1, max_length=500)
