"""What a build starts from: the Spec, and a repository that holds the base and the work upon it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from worksite.builder.repository import Repository
from worksite.common.artifacts import Artifacts
from worksite.common.errors import StepRefused
from worksite.common.messages import ArtifactRef, Changeset, ImportedProject, Spec


@dataclass(frozen=True)
class Supply:
    """Artifacts, as they are fetched into one folder. Every method raises StepRefused."""

    workplace: Path
    artifacts: Artifacts

    async def spec(self, ref: ArtifactRef) -> Spec:
        """The design to build by."""
        try:
            return Spec.consume(await self.artifacts.get(ref))
        except ValidationError as error:
            raise StepRefused("unreadable_spec", f"the Spec does not fit its schema: {error}") from error

    async def repository(self, project: ImportedProject) -> Repository:
        """A new one that holds the project's base."""
        repository = await Repository.create(self.workplace / "repository.git")
        await self._take(repository, project.bundle, project.base_sha)
        return repository

    async def add(self, repository: Repository, base: str, work: Changeset, whose: str) -> str:
        """Earlier work on the same base; its head."""
        if work.base_sha != base:
            raise StepRefused("unknown_base", f"the {whose}'s work is based on {work.base_sha}, not on {base}")
        await self._take(repository, work.bundle, work.head_sha)
        return work.head_sha

    async def _take(self, repository: Repository, ref: ArtifactRef, commit: str) -> None:
        """The bundle's objects, the commit among them."""
        bundle = self.workplace / "taken.bundle"
        await asyncio.to_thread(bundle.write_bytes, await self.artifacts.get(ref))
        await repository.take_bundle(bundle)
        if await repository.commit_named(commit) != commit:
            raise StepRefused("unknown_base", f"the bundle does not hold {commit}")
