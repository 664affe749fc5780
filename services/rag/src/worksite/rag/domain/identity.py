"""What a chunk and an index are called, derived from what they hold."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from uuid import NAMESPACE_URL, UUID, uuid5

from worksite.rag.domain.documents import DIMENSIONS, Chunk, Passage


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that decides which vectors a text gets; those of two fingerprints never share an index."""

    model: str
    tokenizer: str
    chunker: str
    sparse: str

    @property
    def embedding(self) -> str:
        """The part that decides about the dense vector of a text."""
        return f"{self.model} {self.tokenizer}"

    def digest(self) -> str:
        """Short name of this combination, safe as a folder and as a collection name."""
        parts = "\n".join((self.model, self.tokenizer, self.chunker, self.sparse))
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an index is made with, kept beside it. `embedder` is its model's folder or hub name, for queries to an index
    that another model is to replace; only one that is `complete` can answer for all documents."""

    fingerprint: Fingerprint
    embedder: str
    backend: str = "onnx"
    dimensions: int = DIMENSIONS
    complete: bool = False

    @property
    def digest(self) -> str:
        """What the index is called."""
        return self.fingerprint.digest()


class Revision(NamedTuple):
    """What is stored of a chunk: `digest` changes with anything, such as its lines after an edit above it."""

    digest: str
    source: str | None
    parts: int


def chunk_ids(index: str, tenant: str, path: str, chunks: Iterable[Chunk]) -> list[UUID]:
    """The id of each chunk of one file, in order.

    An id depends on what was embedded and, for repetitions, on how many equal chunks come before it in the
    file; never on the position. So an edit at the top of a file leaves the ids (and the vectors) of all other
    chunks alone. `index` names the collection and its fingerprint; the tenant is part of the id, so that no
    tenant can overwrite another's point.
    """
    seen: Counter[str] = Counter()
    ids: list[UUID] = []
    for chunk in chunks:
        content = hashlib.sha256(chunk.embedded.encode()).hexdigest()
        ids.append(uuid5(NAMESPACE_URL, "\0".join((index, tenant, path, content, str(seen[content])))))
        seen[content] += 1
    return ids


def revision(passage: Passage) -> Revision:
    """The revision of a passage."""
    return Revision(hashlib.sha256(repr(passage).encode()).hexdigest()[:16], passage.source, passage.parts)
