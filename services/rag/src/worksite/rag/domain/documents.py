"""What goes into the index: documents, the chunks cut from them, and the points that are stored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from worksite.common.errors import Permanent

Format = Literal["markdown", "restructuredtext", "code", "manifest", "text"]
"""`code` is cut by its language's grammar; `manifest` is a `blueprint.toml`, of which only the prose is indexed."""
Kind = Literal["document", "blueprint"]
Vector = tuple[float, ...]
DIMENSIONS = 384
"""Length of the shipped model's dense vectors."""


class Unindexable(Permanent):
    """A document that cannot be made searchable, whoever tries. The text is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text to index.

    `path` is POSIX, relative, and the same on every machine: it is part of each chunk's identity. `heading`
    stands above the headings of the text itself; `name` is the blueprint's, where it is one. `language` is that of
    the source, such as `python` or `markdown`; `updated_at` (UTC) is when the text was last changed or sent, if known.
    `source` names what the text was made from, such as a file's hash: the same name, the same document.
    """

    path: str
    text: str
    format: Format
    kind: Kind = "document"
    name: str | None = None
    tags: tuple[str, ...] = ()
    heading: tuple[str, ...] = ()
    language: str | None = None
    updated_at: datetime | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text: `source[start:end] == text`.

    Bytes are those of UTF-8; lines count from 1, and the last one is inside. `embedded` is what the models
    see: the heading path and then the text, within the token limit.
    """

    text: str
    start: int
    end: int
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    heading: tuple[str, ...]
    embedded: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is stored beside its vectors and handed out as a search result; one of `parts` of its document."""

    path: str
    text: str
    start_byte: int
    end_byte: int
    start_line: int
    end_line: int
    heading: tuple[str, ...]
    kind: Kind
    name: str | None
    tags: tuple[str, ...]
    language: str | None = None
    updated_at: datetime | None = None
    source: str | None = None
    parts: int = 0


@dataclass(frozen=True, slots=True)
class SparseVector:
    """Term ids and their weights, in the same order."""

    indices: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Point:
    """A passage with its identity and its vectors, ready to be stored."""

    id: UUID
    passage: Passage
    dense: Vector
    sparse: SparseVector


def passage_of(document: Document, chunk: Chunk, parts: int) -> Passage:
    """What the index keeps of one of the `parts` chunks of this document."""
    return Passage(
        path=document.path,
        text=chunk.text,
        start_byte=chunk.start_byte,
        end_byte=chunk.end_byte,
        start_line=chunk.start_line,
        end_line=chunk.end_line,
        heading=chunk.heading,
        kind=document.kind,
        name=document.name,
        tags=document.tags,
        language=document.language,
        updated_at=document.updated_at,
        source=document.source,
        parts=parts,
    )
