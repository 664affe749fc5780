"""Build: the blueprint that the Spec chose, rendered and committed in a worktree of the exact base."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from worksite.builder import templates
from worksite.builder.changesets import Work, changeset, refuse_stale, store_archive, store_bundle, store_patch
from worksite.builder.domain import authorship
from worksite.builder.repository import Repository
from worksite.common.artifacts import Artifacts
from worksite.common.errors import StepRefused
from worksite.common.messages import ArtifactRef, BlueprintChoice, BuildChange, Changeset, ImportedProject, Spec

Progress = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Builder:
    """One build, in a folder of its own."""

    workplace: Path
    artifacts: Artifacts
    progress: Progress
    blueprints_dir: Path
    max_bytes: int

    async def run(self, command: BuildChange) -> Changeset:
        """The same command, and every later round of its task, makes the same commit. Raises StepRefused."""
        spec = await self._spec(command.spec)
        choice = _choice(spec, command.project)
        engine = f"blueprint:{choice.name}@{choice.version}"
        if command.round > 1:
            await self.progress(f"what {engine} makes is fixed: round {command.round} makes the same commit again")
        repository = await self._repository(command.project)
        work = await self._commit(repository, command, spec, choice, engine)
        await refuse_stale(work)
        bundle = await store_bundle(self.artifacts, repository, self.workplace, [f"refs/heads/{work.branch}"])
        archive = await store_archive(self.artifacts, work, self.workplace, self.max_bytes)
        patch = await store_patch(self.artifacts, work, self.workplace, self.max_bytes)
        summary = f"{spec.title}: rendered from {engine}"
        return await changeset(work, bundle=bundle, archive=archive, summary=summary, engine=engine, patch=patch)

    async def _spec(self, ref: ArtifactRef) -> Spec:
        try:
            return Spec.consume(await self.artifacts.get(ref))
        except ValidationError as error:
            raise StepRefused("unreadable_spec", f"the Spec does not fit its schema: {error}") from error

    async def _repository(self, project: ImportedProject) -> Repository:
        """The imported project, with its base present."""
        bundle = self.workplace / "project.bundle"
        await asyncio.to_thread(bundle.write_bytes, await self.artifacts.get(project.bundle))
        repository = await Repository.create(self.workplace / "repository.git")
        await repository.take_bundle(bundle)
        if await repository.commit_named(project.base_sha) != project.base_sha:
            raise StepRefused("unknown_base", f"the project's bundle does not hold its base {project.base_sha}")
        return repository

    async def _commit(
        self, repository: Repository, command: BuildChange, spec: Spec, choice: BlueprintChoice, engine: str
    ) -> Work:
        base, branch = command.project.base_sha, authorship.branch_of(command.task)
        worktree = await repository.add_worktree(self.workplace / "worktree", branch, base)
        await self.progress(f"rendering {engine}")
        await templates.render(choice, self.blueprints_dir, self.workplace, self.workplace / "worktree")
        message = authorship.commit_message(spec.title, engine, command.task, command.spec.sha256)
        head = await worktree.commit_all(message, authorship.task_seconds(command.task))
        if head is None:
            raise StepRefused("nothing_made", f"{engine} rendered no file")
        await self.progress(f"committed {head[:12]} on {branch}")
        await repository.set_head(branch)
        return Work(repository, base, head, branch)


def _choice(spec: Spec, project: ImportedProject) -> BlueprintChoice:
    if spec.blueprint is None:
        raise StepRefused("no_engine", "the Spec chose no blueprint, and this builder has no other engine")
    if not project.empty:
        raise StepRefused("project_not_empty", "a blueprint starts a project: it never changes existing files")
    return spec.blueprint
