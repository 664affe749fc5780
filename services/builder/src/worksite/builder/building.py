"""Build: a blueprint or a language model fills a worktree of the exact base, and what came of it is one commit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from worksite.builder.changesets import Work, changeset, refuse_stale, store_archive, store_bundle, store_patch
from worksite.builder.coding import USUAL_TIER, Modelling, ModelMaker
from worksite.builder.domain import authorship
from worksite.builder.making import BlueprintMaker, Maker
from worksite.builder.repository import Repository, Worktree
from worksite.common.errors import StepRefused
from worksite.common.messages import ArtifactRef, BuildChange, Changeset, Spec
from worksite.common.worker import StepContext


@dataclass(frozen=True)
class Builder:
    """One build, in a folder of its own."""

    workplace: Path
    context: StepContext
    blueprints_dir: Path
    max_bytes: int
    modelling: Modelling | None = None

    async def run(self, command: BuildChange) -> Changeset:
        """The same command makes the same commit. Raises StepRefused."""
        spec = await self._spec(command.spec)
        maker = self._maker(spec, command)
        if command.round > 1 and not maker.continues:
            said = f"what {maker.engine} makes is fixed: round {command.round} makes the same commit again"
            await self.context.progress(said)
        repository, artifacts = await Repository.create(self.workplace / "repository.git"), self.context.artifacts
        worktree = await self._worktree(repository, command, maker)
        await self.context.progress(f"building with {maker.engine}")
        summary = await maker.fill(worktree, spec, command)
        work = await self._commit(worktree, command, spec, maker)
        await refuse_stale(work)
        bundle = await store_bundle(artifacts, repository, self.workplace, [f"refs/heads/{work.branch}"])
        archive = await store_archive(artifacts, work, self.workplace, self.max_bytes)
        patch = await store_patch(artifacts, work, self.workplace, self.max_bytes)
        said = f"{spec.title}: {summary}"
        return await changeset(work, bundle=bundle, archive=archive, summary=said, engine=maker.engine, patch=patch)

    def _maker(self, spec: Spec, command: BuildChange) -> Maker:
        if spec.blueprint:
            return BlueprintMaker(spec.blueprint, self.blueprints_dir)
        if self.modelling:
            return ModelMaker(self.modelling, self.context, command.tier or USUAL_TIER)
        raise StepRefused("no_engine", "the Spec chose no blueprint, and this builder has no language model")

    async def _spec(self, ref: ArtifactRef) -> Spec:
        try:
            return Spec.consume(await self.context.artifacts.get(ref))
        except ValidationError as error:
            raise StepRefused("unreadable_spec", f"the Spec does not fit its schema: {error}") from error

    async def _worktree(self, repository: Repository, command: BuildChange, maker: Maker) -> Worktree:
        """Cut from the base, or from the former round's work on the same base."""
        base, before = command.project.base_sha, command.previous
        await self._take(repository, command.project.bundle, base)
        start = base
        if before and maker.continues:
            if before.base_sha != base:
                raise StepRefused("unknown_base", f"the last round's work is based on {before.base_sha}, not on {base}")
            await self._take(repository, before.bundle, before.head_sha)
            start = before.head_sha
        return await repository.add_worktree(
            self.workplace / "worktree", authorship.branch_of(command.task), base, start
        )

    async def _take(self, repository: Repository, ref: ArtifactRef, commit: str) -> None:
        """The bundle's objects, the commit among them."""
        bundle = self.workplace / "taken.bundle"
        await asyncio.to_thread(bundle.write_bytes, await self.context.artifacts.get(ref))
        await repository.take_bundle(bundle)
        if await repository.commit_named(commit) != commit:
            raise StepRefused("unknown_base", f"the bundle does not hold {commit}")

    async def _commit(self, worktree: Worktree, command: BuildChange, spec: Spec, maker: Maker) -> Work:
        message = authorship.commit_message(spec.title, maker.engine, command.task, command.spec.sha256)
        head = await worktree.commit_all(message, authorship.task_seconds(command.task))
        if head is None:
            raise StepRefused("nothing_made", f"{maker.engine} changed no file")
        await self.context.progress(f"committed {head[:12]} on {worktree.branch}")
        await worktree.repository.set_head(worktree.branch)
        return Work(worktree.repository, worktree.base, head, worktree.branch)
