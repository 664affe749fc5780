"""Build: a blueprint or a language model fills a worktree of the exact base, and what came of it is one commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worksite.builder.changesets import Work, published
from worksite.builder.coding import USUAL_TIER, Modelling, ModelMaker
from worksite.builder.domain import authorship
from worksite.builder.domain.packages import package_named
from worksite.builder.making import BlueprintMaker, Maker
from worksite.builder.repository import Worktree
from worksite.builder.supply import Supply
from worksite.common.errors import StepRefused
from worksite.common.messages import BuildChange, Changeset, Spec
from worksite.common.worker import StepContext

_MAX_PACKAGE_SUMMARY = 300
"""In characters: the summaries of all packages travel in one message, three times."""


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
        supply = Supply(self.workplace, self.context.artifacts)
        spec = await supply.spec(command.spec)
        package = package_named(spec, command.package) if command.package else None
        maker = self._maker(spec, command)
        if command.round > 1 and not maker.continues:
            said = f"what {maker.engine} makes is fixed: round {command.round} makes the same commit again"
            await self.context.progress(said)
        worktree = await self._worktree(supply, command, maker)
        await self.context.progress(f"building {f'{package.id} ' if package else ''}with {maker.engine}")
        summary = await maker.fill(worktree, spec, command)
        title = package.title if package else spec.title
        if package:
            summary = summary[:_MAX_PACKAGE_SUMMARY]
        work = await self._commit(worktree, command, title, maker)
        return await published(
            work,
            self.context.artifacts,
            self.workplace,
            self.max_bytes,
            summary=f"{title}: {summary}",
            engine=maker.engine,
        )

    def _maker(self, spec: Spec, command: BuildChange) -> Maker:
        if spec.blueprint:
            return BlueprintMaker(spec.blueprint, self.blueprints_dir)
        if self.modelling:
            return ModelMaker(self.modelling, self.context, command.tier or USUAL_TIER)
        raise StepRefused("no_engine", "the Spec chose no blueprint, and this builder has no language model")

    async def _worktree(self, supply: Supply, command: BuildChange, maker: Maker) -> Worktree:
        """Cut from the base, or from earlier work on the same base."""
        repository, before = await supply.repository(command.project), command.previous
        start = base = command.project.base_sha
        if before and maker.continues:
            start = await supply.add(repository, base, before, "last round")
        return await repository.add_worktree(
            self.workplace / "worktree", authorship.branch_of(command.task), base, start
        )

    async def _commit(self, worktree: Worktree, command: BuildChange, title: str, maker: Maker) -> Work:
        """A package is a commit of its own upon those before it; a round contains the former ones."""
        message = authorship.commit_message(title, maker.engine, command.task, command.spec.sha256, command.package)
        parent = worktree.start if command.package else worktree.base
        head = await worktree.commit_all(message, authorship.task_seconds(command.task), parent)
        if head is None:
            raise StepRefused("nothing_made", f"{maker.engine} changed no file")
        await self.context.progress(f"committed {head[:12]} on {worktree.branch}")
        await worktree.repository.set_head(worktree.branch)
        return Work(worktree.repository, worktree.base, head, worktree.branch)
