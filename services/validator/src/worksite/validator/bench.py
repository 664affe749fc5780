"""Everything a check needs to run something of the candidate's: the sandbox, the tools, the two trees."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from worksite.common.messages import CheckCommand, Grade, Spec
from worksite.validator.domain.declaration import Declaration
from worksite.validator.environment import CandidateEnvironment, Environments
from worksite.validator.sandbox import Sandbox
from worksite.validator.tools import Tools
from worksite.validator.tree import Tree


@dataclass(frozen=True)
class Version:
    """A commit's files and the environment of its own lock."""

    tree: Tree
    environment: CandidateEnvironment


@dataclass(frozen=True)
class Bench:
    """Opened once per service."""

    sandbox: Sandbox
    tools: Tools
    environments: Environments

    @asynccontextmanager
    async def copy_of(self, tree: Tree) -> AsyncIterator[Path]:
        """A workspace with the files of `tree`, for one run to do with as it likes."""
        async with self.sandbox.new_workspace() as workspace:
            copy = workspace / "project"
            await asyncio.to_thread(shutil.copytree, tree.path, copy)
            yield copy

    async def version(self, tree: Tree) -> Version:
        """`tree` with its environment. Raises EnvironmentUnavailable."""
        return Version(tree, await self.environments.provide(tree))


@dataclass(frozen=True)
class Change:
    """What is to be judged; `base` is None where there is nothing to compare with, and everything is charged.

    `declared`: what the project says beside the Spec, at base, or at head where there is no base. `reviewed`: a person
    wrote it, and not an agent by the Spec.
    """

    spec: Spec
    head: Version
    base: Tree | None
    declared: Declaration = field(default_factory=Declaration)
    reviewed: bool = False

    @property
    def acceptance_grade(self) -> Grade:
        """Without a base, declared acceptance tests are the candidate's own, and so is what they claim."""
        return "self_reported" if self.base is None and self.declared.tests else "verified_io"

    @property
    def commands(self) -> tuple[CheckCommand, ...]:
        """All that are run, and charged where they fail."""
        return (*self.spec.commands, *self.declared.commands)

    @property
    def answering(self) -> tuple[CheckCommand, ...]:
        """Those that can show something: what only the candidate itself declares cannot."""
        return self.spec.commands if self.base is None else self.commands


def python_tool(bench: Bench, packages: Iterable[Path], statements: str) -> tuple[str, ...]:
    """A command line that runs `statements` with nothing but `packages` importable beside the standard library."""
    paths = [str(path) for path in packages]
    return (str(bench.sandbox.python), "-I", "-S", "-B", "-c", f"import sys; sys.path += {paths!r}; {statements}")
