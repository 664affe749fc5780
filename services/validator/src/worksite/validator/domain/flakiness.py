"""Tests that fail and pass on the same code. They are named, and whoever brought them is charged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from worksite.validator.domain.baseline import Charge, Relative
from worksite.validator.domain.cases import Case, Suite


@dataclass(frozen=True)
class Repeated:
    """Several runs of the same tests on the same code, the first of them first."""

    runs: tuple[Suite, ...] = ()

    def has(self, test: str) -> bool:
        """Whether any of them ran it."""
        return bool(self._outcomes(test))

    def is_flaky(self, test: str) -> bool:
        """Whether it both passed and failed, in runs that all came to their end with it: a crash, a module that cannot
        be collected or the end of the time is no failure of a test."""
        sound = all(test in run.cases and run.trouble is None for run in self.runs)
        return sound and {"passed", "failed"} <= set(self._outcomes(test))

    def is_steady(self, test: str) -> bool:
        """Whether it passed each time."""
        return set(self._outcomes(test)) == {"passed"}

    def told(self, test: str) -> str:
        """For example `failed in 1 of 3 runs`."""
        outcomes = self._outcomes(test)
        return f"failed in {outcomes.count('failed')} of {len(outcomes)} runs"

    def _outcomes(self, test: str) -> list[str]:
        return [run.cases[test].outcome for run in self.runs if test in run.cases]


def suspects(relative: Relative, suites: Sequence[Suite]) -> frozenset[str]:
    """What is charged for failing in one of `suites`: another run may tell a fault from a flaky test."""
    charged = {charge.test for charge in relative.charged}
    return frozenset(test for suite in suites for test in charged if _failed(suite.cases.get(test)))


def settled(relative: Relative, at_head: Sequence[Repeated], at_base: Repeated) -> Relative:
    """`relative` with flaky tests named: excused where they are flaky at base too, else charged as what they are.

    A new test that cannot be relied on is a fault of the change; so is one that could be relied on before it. What is
    missing or skipped is no flaky test, and neither is what never passes in one of its forms, as it is or as it was.
    """
    charged: list[Charge] = []
    excused: list[Charge] = []
    for charge in relative.charged:
        test = charge.test
        ran = [runs for runs in at_head if runs.has(test)]
        head = next((runs for runs in ran if runs.is_flaky(test)), None)
        if head is None or not charge.failed or not all(runs.is_flaky(test) or runs.is_steady(test) for runs in ran):
            charged.append(charge)
        elif at_base.is_flaky(test) and len(ran) == len(at_head):
            reason = f"is flaky: it {head.told(test)}, at base it {at_base.told(test)}"
            excused.append(replace(charge, reason=reason))
        else:
            reason = f"is flaky: it {head.told(test)} of the same code, at base it {at_base.told(test)}"
            charged.append(replace(charge, reason=reason if at_base.runs else reason.partition(", at base")[0]))
    return Relative(tuple(charged), (*relative.preexisting, *excused))


def marked(suite: Suite, flaky: frozenset[str]) -> Suite:
    """`suite` with these tests as flaky: they can neither show nor refute a criterion."""
    cases = {key: replace(case, outcome="flaky") if key in flaky else case for key, case in suite.cases.items()}
    return replace(suite, cases=cases)


def _failed(case: Case | None) -> bool:
    return case is not None and case.outcome == "failed"
