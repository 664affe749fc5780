"""Merge: what came of work packages becomes one line of commits. Each is tried on the objects before it is made.

A package that contradicts what was merged before it stays out, named with the files, and can be built anew on the rest.
The first one always merges, so whoever goes on like this comes to an end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from worksite.builder.changesets import Work, published, stale
from worksite.builder.domain import authorship
from worksite.builder.domain.merges import TriedMerge, clashes
from worksite.builder.domain.packages import in_order
from worksite.builder.repository import Repository
from worksite.builder.supply import Supply
from worksite.common.messages import BuildChange, Changeset, PackageConflict, PackageWork, Spec, WorkPackage
from worksite.common.worker import StepContext

ENGINE = "git"
_MAX_FILES, _MAX_NAME = 10, 200
"""Of each package that stays out: conflicts travel in messages, which hold 64 KB."""


@dataclass(frozen=True)
class Merger:
    """One merge, in a folder of its own."""

    workplace: Path
    context: StepContext
    max_bytes: int

    async def run(self, command: BuildChange) -> Changeset:
        """The same parts make the same commits, in whichever order they come. Raises StepRefused."""
        supply = Supply(self.workplace, self.context.artifacts)
        spec, repository = await supply.spec(command.spec), await supply.repository(command.project)
        base, before = command.project.base_sha, command.previous
        start = await supply.add(repository, base, before, "former waves") if before else base
        line = _Line(repository, command, start, start)
        for package, part in in_order(spec, command.parts):
            await supply.add(repository, base, part.changeset, f"package {package.id}")
            await self.context.progress(await line.take(package, part))
        work = Work(repository, base, line.head, authorship.branch_of(command.task))
        await repository.set_branch(work.branch, work.head)
        return await published(
            work,
            self.context.artifacts,
            self.workplace,
            self.max_bytes,
            summary=_summary(spec, line),
            engine=ENGINE,
            conflicts=tuple(line.conflicts),
        )


@dataclass
class _Line:
    """The packages merged so far, one commit each, and those that stay out."""

    repository: Repository
    command: BuildChange
    start: str
    head: str
    merged: list[str] = field(default_factory=list[str])
    conflicts: list[PackageConflict] = field(default_factory=list[PackageConflict])

    async def take(self, package: WorkPackage, part: PackageWork) -> str:
        """Add the package to the line, or to what stays out; what happened, in words. Raises StepRefused."""
        theirs = part.changeset.head_sha
        if not await self.repository.descends(theirs, self.start):
            raise stale(theirs, self.start)
        tried = await self.repository.merge(self.head, theirs)
        files = tried.files if not tried.clean else await self._clashes(theirs)
        if files or not tried.clean:
            told = tuple(name[-_MAX_NAME:] for name in files[:_MAX_FILES])
            self.conflicts.append(PackageConflict(package=package.id, files=told))
            return f"{package.id} contradicts what was merged before: {', '.join(told)}"
        self.merged.append(package.title)
        return await self._commit(package, part, tried)

    async def _clashes(self, theirs: str) -> tuple[str, ...]:
        added = [await self.repository.added(self.start, head) for head in (theirs, self.head)]
        return clashes(*added)

    async def _commit(self, package: WorkPackage, part: PackageWork, tried: TriedMerge) -> str:
        """A commit without a change would be lost in patches: there is none."""
        if tried.tree == await self.repository.tree_of(self.head):
            return f"{package.id} adds nothing to what was merged before"
        command = self.command
        message = authorship.commit_message(
            package.title, part.changeset.engine, command.task, command.spec.sha256, package.id
        )
        seconds = authorship.task_seconds(command.task)
        self.head = await self.repository.commit_tree(tried.tree, [self.head], message, seconds)
        return f"merged {package.id} as {self.head[:12]}"


def _summary(spec: Spec, line: _Line) -> str:
    out = ", ".join(conflict.package for conflict in line.conflicts)
    return f"{spec.title}: merged {', '.join(line.merged)}" + (f"; to be built anew: {out}" if out else "")
