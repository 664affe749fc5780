"""What fills a worktree: a blueprint, or a language model (`coding.py`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from worksite.builder import templates
from worksite.builder.repository import Worktree
from worksite.common.errors import StepRefused
from worksite.common.messages import BlueprintChoice, BuildChange, Spec


class Maker(Protocol):
    """`continues`: a later round goes on from the former one's work. Otherwise each begins at the base."""

    @property
    def engine(self) -> str: ...

    @property
    def continues(self) -> bool: ...

    async def fill(self, worktree: Worktree, spec: Spec, command: BuildChange) -> str:
        """Put the work into the worktree's files; returns a summary for people. Raises StepRefused."""
        ...


@dataclass(frozen=True)
class BlueprintMaker:
    """Renders what the Spec chose; every round makes the same."""

    choice: BlueprintChoice
    blueprints_dir: Path
    continues: bool = False

    @property
    def engine(self) -> str:
        return f"blueprint:{self.choice.name}@{self.choice.version}"

    async def fill(self, worktree: Worktree, spec: Spec, command: BuildChange) -> str:
        if not command.project.empty:
            raise StepRefused("project_not_empty", "a blueprint starts a project: it never changes existing files")
        folder = worktree.folder
        await templates.render(self.choice, self.blueprints_dir, folder.parent, folder)
        return f"rendered from {self.engine}"
