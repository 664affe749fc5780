"""What a run of tests yields: one case per test, and whether the run as a whole can be believed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

CaseOutcome = Literal["passed", "failed", "skipped", "flaky"]
"""`failed` covers errors in set-up, tear-down and collection; `skipped` covers expected failures; `flaky` is what
failed and passed on the same code, at base too."""

LAST_WORDS = "the candidate's error output ended with:"
"""What a case quotes after this line helps a person; it is not part of the failure's identity."""


@dataclass(frozen=True)
class Case:
    """One test: `text` is why it failed or was skipped, or what it did; `exchanges` counts its talks with the
    candidate across the pipe."""

    id: str
    outcome: CaseOutcome
    text: str = ""
    seconds: float = 0.0
    exchanges: int = 0


@dataclass(frozen=True)
class Suite:
    """All cases of a run. `trouble` says why the run proves nothing, e.g. that the process ended before its end;
    `doubt` the same where nothing in it speaks against the candidate; `caveat` says what weakens it."""

    cases: dict[str, Case] = field(default_factory=dict[str, Case])
    trouble: str | None = None
    seconds: float = 0.0
    caveat: str | None = None
    doubt: str | None = None

    def having(self, outcome: CaseOutcome) -> tuple[Case, ...]:
        """The cases that ended so, in order of their ids."""
        return tuple(self.cases[key] for key in sorted(self.cases) if self.cases[key].outcome == outcome)

    def summary(self) -> str:
        """For example `41 passed, 1 failed, 2 skipped`, and the caveat."""
        counts = {outcome: len(self.having(outcome)) for outcome in get_args(CaseOutcome)}
        parts = [f"{count} {outcome}" for outcome, count in counts.items() if count or outcome == "passed"]
        return ", ".join(parts) + (f" ({self.caveat})" if self.caveat else "")
