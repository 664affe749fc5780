"""The vector store port: dense and sparse vectors with their passages, apart by tenant."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal, Protocol
from uuid import UUID

from worksite.common.settings import SettingsError
from worksite.rag.domain.documents import Passage, Point, SparseVector, Vector
from worksite.rag.domain.identity import Manifest, Revision
from worksite.rag.domain.queries import Scope, Scores

Revisions = dict[str, dict[UUID, Revision]]
"""Path -> chunk id -> the revision of what is stored under it."""
Counts = dict[str, dict[str, int]]
"""Tenant -> path or source -> chunks."""


class StoreError(SettingsError):
    """The store that the settings name cannot be opened; says where it is and why."""


class VectorStore(Protocol):
    """One index, of one fingerprint. Implementations add the tenant to the filter of every call.

    Reading sees what the scope's tenant owns and what is shared; writing touches what the named tenant owns,
    nothing else.
    """

    @property
    def generation(self) -> int | None:
        """Another number after every write, so that what was read under one number holds as long as it stands.

        None where other processes write too and nothing tells.
        """
        ...

    async def dense(self, scope: Scope, vector: Vector, limit: int, among: Collection[UUID] | None = None) -> Scores:
        """The nearest points by exact cosine; `among` restricts them to these ids."""
        ...

    async def sparse(
        self, scope: Scope, vector: SparseVector, limit: int, among: Collection[UUID] | None = None
    ) -> Scores:
        """The best points by BM25 that share a term; its document frequencies count what the tenant sees."""
        ...

    async def passages(self, scope: Scope, ids: Collection[UUID]) -> dict[UUID, Passage]:
        """What is stored under these ids; those out of scope are left out."""
        ...

    async def revisions(self, tenant: str, path: str | None = None) -> Revisions:
        """Everything that the tenant itself owns, or what it has under one path."""
        ...

    async def counts(self, by: Literal["path", "source"] = "path") -> Counts:
        """How many points there are of every path, or of every source, of every tenant."""
        ...

    async def size(self) -> int:
        """How many points there are, of all tenants; unlike `counts`, it costs next to nothing."""
        ...

    async def upsert(self, tenant: str, points: Sequence[Point]) -> None:
        """Store points, replacing those of the same id; they survive the death of this process."""
        ...

    async def replace_passages(self, tenant: str, passages: Mapping[UUID, Passage]) -> None:
        """Store other passages under ids that exist; their vectors stay."""
        ...

    async def delete(self, tenant: str, ids: Collection[UUID]) -> None:
        """Remove points; ids that are not there are ignored."""
        ...

    async def close(self) -> None:
        """Write everything out and release what is held."""
        ...


class Indexes(Protocol):
    """The indexes of one collection, each of another fingerprint; several can be open."""

    async def manifests(self) -> list[Manifest]:
        """Of all indexes that say what they were made with."""
        ...

    async def open(self, manifest: Manifest) -> VectorStore:
        """The index of this fingerprint; one that is made now is not complete, whatever its manifest says.

        Raises StoreError.
        """
        ...

    async def note(self, manifest: Manifest) -> None:
        """Replace the manifest of an index; survives the death of this process."""
        ...

    async def retire_all_but(self, manifest: Manifest) -> None:
        """Remove the other indexes of the collection, which must be closed, and what is left of any."""
        ...

    async def aclose(self) -> None:
        """Release what the collection as a whole holds."""
        ...
