"""What has to be written so that the index holds a file as it is now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from worksite.rag.domain.documents import Chunk, Document, Passage, passage_of
from worksite.rag.domain.identity import Revision, revision


@dataclass(frozen=True, slots=True)
class Changes:
    """`new` chunks are to be embedded, `moved` ones keep their vectors, `gone` ones are to be removed."""

    new: tuple[tuple[UUID, Passage, str], ...]
    moved: dict[UUID, Passage]
    gone: frozenset[UUID]


def changes_of(
    document: Document, ids: Sequence[UUID], chunks: Sequence[Chunk], known: Mapping[UUID, Revision]
) -> Changes:
    """Compare a file's chunks, with their ids, to the revisions that are stored of the file."""
    parts = len(chunks)
    wanted = [(one, passage_of(document, piece, parts), piece.embedded) for one, piece in zip(ids, chunks, strict=True)]
    return Changes(
        new=tuple(entry for entry in wanted if entry[0] not in known),
        moved={one: passage for one, passage, _ in wanted if one in known and known[one] != revision(passage)},
        gone=frozenset(known.keys() - set(ids)),
    )


def is_whole(known: Mapping[UUID, Revision], source: str) -> bool:
    """Is what is stored of a document all of it, and made from this source? Unknown of one without any chunk."""
    return bool(known) and all(one.source == source and one.parts == len(known) for one in known.values())
