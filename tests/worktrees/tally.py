"""What was found: counts for the last line, and each fault in a line of its own."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Tally:
    """Of one kind of worktrees."""

    what: str
    worktrees: int = 0
    killed: int = 0
    stale: int = 0
    lost: int = 0
    taken: int = 0
    orphans: int = 0
    faults: list[str] = field(default_factory=list[str])

    def count(self, kind: str, wrong: bool, fault: str) -> None:
        """One more of a kind, where it is wrong."""
        if wrong:
            setattr(self, kind, getattr(self, kind) + 1)
            self.faults.append(f"{kind}: {fault}")

    def __str__(self) -> str:
        return (
            f"{self.worktrees} worktrees of {self.what}, {self.killed} workers killed: {self.stale} stale bases, "
            f"{self.lost} lost commits, {self.taken} taken while in use, {self.orphans} orphans"
        )
