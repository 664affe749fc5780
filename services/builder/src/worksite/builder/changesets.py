"""From a commit to a Changeset whose artifacts are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worksite.builder.archive import write_archive
from worksite.builder.repository import Repository
from worksite.common.artifacts import Artifacts
from worksite.common.errors import StepRefused
from worksite.common.messages import ArtifactRef, Changeset, PackageConflict

BUNDLE, ARCHIVE, PATCH = "application/x-git-bundle", "application/zip", "text/x-patch"


@dataclass(frozen=True)
class Work:
    """What was done: commits between base and head on one branch of a repository."""

    repository: Repository
    base: str
    head: str
    branch: str


async def store_bundle(
    artifacts: Artifacts, repository: Repository, workplace: Path, refs: Sequence[str]
) -> ArtifactRef:
    """A bundle that can be cloned on its own: HEAD and the refs, with their whole history."""
    bundle = workplace / "result.bundle"
    await repository.write_bundle(bundle, refs)
    return await artifacts.put(await asyncio.to_thread(bundle.read_bytes), BUNDLE)


async def store_archive(artifacts: Artifacts, work: Work, workplace: Path, max_bytes: int) -> ArtifactRef:
    """The tree at head. Raises StepRefused when it holds more than `max_bytes`."""
    archive = workplace / "result.zip"
    await write_archive(work.repository, work.head, archive, max_bytes)
    return await artifacts.put(await asyncio.to_thread(archive.read_bytes), ARCHIVE)


async def store_patch(artifacts: Artifacts, work: Work, workplace: Path, max_bytes: int) -> ArtifactRef | None:
    """The commits as patches; None where they take more than `max_bytes`."""
    patch = workplace / "result.patch"
    await work.repository.write_patch(work.base, work.head, patch)
    if patch.stat().st_size > max_bytes:
        return None
    return await artifacts.put(await asyncio.to_thread(patch.read_bytes), PATCH)


async def published(
    work: Work,
    artifacts: Artifacts,
    workplace: Path,
    max_bytes: int,
    *,
    summary: str,
    engine: str,
    conflicts: tuple[PackageConflict, ...] = (),
) -> Changeset:
    """Everything of the work is stored; its Changeset. Raises StepRefused."""
    await refuse_stale(work)
    await _refuse_nothing(work)
    bundle = await store_bundle(artifacts, work.repository, workplace, [f"refs/heads/{work.branch}"])
    archive = await store_archive(artifacts, work, workplace, max_bytes)
    patch = await store_patch(artifacts, work, workplace, max_bytes)
    return await changeset(
        work, bundle=bundle, archive=archive, summary=summary, engine=engine, patch=patch, conflicts=conflicts
    )


async def refuse_stale(work: Work) -> None:
    """Raises StepRefused for work that does not go on from its base: it would undo what is in between."""
    if not await work.repository.descends(work.head, work.base):
        raise stale(work.head, work.base)


async def _refuse_nothing(work: Work) -> None:
    """Packages may take back what others have made: then there is nothing to judge and nothing to deliver."""
    repository = work.repository
    if await repository.tree_of(work.head) == await repository.tree_of(work.base):
        raise StepRefused("nothing_made", f"the work up to {work.head} leaves every file as it was at {work.base}")


def stale(head: str, base: str) -> StepRefused:
    """What to say of work that does not go on from where it should."""
    return StepRefused("stale_base", f"the work at {head} does not go on from {base}")


async def changeset(
    work: Work,
    *,
    bundle: ArtifactRef,
    archive: ArtifactRef,
    summary: str,
    engine: str,
    patch: ArtifactRef | None = None,
    conflicts: tuple[PackageConflict, ...] = (),
) -> Changeset:
    """The typed result."""
    return Changeset(
        base_sha=work.base,
        head_sha=work.head,
        branch=work.branch,
        bundle=bundle,
        archive=archive,
        patch=patch,
        summary=summary,
        engine=engine,
        files_changed=await work.repository.files_changed(work.base, work.head),
        conflicts=conflicts,
    )
