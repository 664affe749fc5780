"""Tests that travel in the Spec: those behind the pipe (acceptance) and those in the candidate's process."""

from __future__ import annotations

from worksite.common.messages import Finding
from worksite.validator.checks.result import CannotJudge, Judged
from worksite.validator.domain.cases import Case, Suite

ACCEPTANCE = "acceptance"
SPEC_TESTS = "spec-tests"


def judge_suite(name: str, suite: Suite) -> Judged:
    """Every test of the Spec must have run and passed. Raises CannotJudge."""
    if suite.trouble:
        return Judged("fail", suite.trouble, (Finding(check=name, message=suite.trouble),))
    unshown = (*suite.having("failed"), *suite.having("skipped"))
    if suite.doubt and not unshown:
        raise CannotJudge(suite.doubt)
    if not suite.cases:
        return Judged("fail", "no test was collected")
    exchanges = sum(case.exchanges for case in suite.cases.values())
    note = suite.summary() + (f"; {exchanges} exchanges with the candidate" if exchanges else "")
    return Judged("fail" if unshown else "pass", note, tuple(_finding(name, case) for case in unshown))


def _finding(name: str, case: Case) -> Finding:
    return Finding(check=name, message=f"{case.id} {case.outcome}:\n{case.text}", path=case.id.split("::")[0])
