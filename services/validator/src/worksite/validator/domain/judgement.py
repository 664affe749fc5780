"""From evidence to a verdict: pure, and PASS only when every criterion was shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from worksite.common.messages import CheckResult, CheckVerdict, Criterion, CriterionResult, Finding, Grade, Verdict
from worksite.validator.domain.cases import Case, Suite
from worksite.validator.domain.signature import failure_signature

ACCEPTANCE_FOLDER = "acceptance/"
"""Tests of the Spec below this folder run in the trusted process; all others run in the candidate's."""

MAX_EVIDENCE = 4000
MAX_FINDINGS = 50
MAX_MESSAGE = 1500


def bounded(text: str, limit: int = MAX_EVIDENCE) -> str:
    """The beginning and the end of `text`, at most `limit` characters."""
    if len(text) <= limit:
        return text
    half = (limit - 30) // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters …\n{text[-half:]}"


def bounded_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The first findings, each of bounded length, with a last one that counts the rest."""
    everything = list(findings)
    kept = [item.model_copy(update={"message": bounded(item.message, MAX_MESSAGE)}) for item in everything]
    if len(kept) > MAX_FINDINGS:
        rest = len(kept) - MAX_FINDINGS
        kept = [*kept[:MAX_FINDINGS], Finding(check=kept[0].check, message=f"… and {rest} more")]
    return tuple(kept)


def judge_criterion(
    criterion: Criterion, suites: Mapping[Grade, Suite], checks: Mapping[str, CheckResult]
) -> CriterionResult:
    """The verdict on one criterion, from the suite that its test ran in.

    A criterion without a test is judged by the check that its id names, if there is one; else it cannot be judged.
    """
    if criterion.test is None:
        return _by_check(criterion, checks.get(criterion.id))
    grade = _grade(criterion, criterion.test, suites)
    if criterion.grade == "verified_io" and grade != "verified_io":
        said = f"{criterion.test} runs in the candidate's process, which can show this only as self_reported"
        return _criterion(criterion, "environment", grade, said)
    suite = suites.get(grade)
    if suite is None:
        return _criterion(criterion, "environment", grade, f"{criterion.test} could not be run")
    return _by_cases(criterion, suite, grade)


def _grade(criterion: Criterion, test: str, suites: Mapping[Grade, Suite]) -> Grade:
    """What the criterion's test can show, by where it runs. Without acceptance tests in the Spec, as on a review, the
    folder of their name is one of the project's, and nothing in it shows more than the project's other tests."""
    ours = "verified_io" in suites or criterion.grade == "verified_io"
    return "verified_io" if ours and test.startswith(ACCEPTANCE_FOLDER) else "self_reported"


def _by_cases(criterion: Criterion, suite: Suite, grade: Grade) -> CriterionResult:
    test = criterion.test or ""
    cases = [case for key, case in sorted(suite.cases.items()) if key == test or key.startswith(f"{test}[")]
    seconds = sum(case.seconds for case in cases)
    for case in cases:
        if case.outcome == "flaky":
            said = f"{case.id} is flaky, at base too, which neither shows nor refutes anything"
            return _criterion(criterion, "environment", grade, said, seconds)
        if case.outcome != "passed":
            said = f"{case.id} {case.outcome}:\n{case.text}"
            return _criterion(criterion, "fail", grade, said, seconds)
        if grade == "verified_io" and not case.exchanges:
            said = f"{case.id} passed without talking to the candidate: that shows nothing"
            return _criterion(criterion, "environment", grade, said, seconds)
    if suite.doubt:
        return _criterion(criterion, "environment", grade, suite.doubt, seconds)
    if suite.trouble or not cases:
        return _criterion(criterion, "fail", grade, f"{test} did not run: {suite.trouble or 'no such test'}")
    return _criterion(criterion, "pass", grade, _shown(test, cases), seconds)


def _shown(test: str, cases: Sequence[Case]) -> str:
    exchanges = sum(case.exchanges for case in cases)
    variants = f" in {len(cases)} variants" if len(cases) > 1 else ""
    return f"{test} passed{variants}" + (f", {exchanges} exchanges with the candidate" if exchanges else "")


def _by_check(criterion: Criterion, check: CheckResult | None) -> CriterionResult:
    if check is None or check.verdict == "not_applicable":
        said = f"no test and no check named {criterion.id} can show this"
        return _criterion(criterion, "environment", criterion.grade, said)
    if criterion.grade == "verified_io" != check.grade and check.verdict == "pass":
        said = f"the check {check.name} passed, which can show this only as {check.grade}"
        return _criterion(criterion, "environment", check.grade, said)
    said = f"judged by the check {check.name}: {check.evidence}"
    return _criterion(criterion, check.verdict, check.grade, said, check.duration_seconds)


def _criterion(
    criterion: Criterion, verdict: CheckVerdict, grade: Grade, evidence: str, seconds: float = 0.0
) -> CriterionResult:
    return CriterionResult(
        id=criterion.id,
        statement=criterion.statement,
        verdict=verdict,
        grade=grade,
        evidence=bounded(evidence),
        duration_seconds=round(seconds, 3),
    )


def overall(criteria: Sequence[CriterionResult], checks: Sequence[CheckResult]) -> Verdict:
    """FAIL if anything failed; PASS if every criterion was shown and no check is in doubt; else ENVIRONMENT."""
    verdicts = [each.verdict for each in (*criteria, *checks)]
    if "fail" in verdicts:
        return "FAIL"
    shown = bool(criteria) and all(each.verdict == "pass" for each in criteria)
    return "PASS" if shown and "environment" not in verdicts else "ENVIRONMENT"


def weighed(traces: CheckResult, verdict: Verdict) -> CheckResult:
    """Traces of cheating beside the verdict that everything else led to.

    Beside a failure they are findings. Elsewhere they are only told: all of them have honest uses, and where criteria
    were shown across the pipe no trick can have shown them.
    """
    if not traces.findings:
        return traces
    if verdict == "FAIL":
        return traces.model_copy(update={"verdict": "fail"})
    told = "; ".join(f"{each.path}:{each.line} {each.message}" for each in traces.findings)
    return traces.model_copy(update={"findings": (), "evidence": bounded(f"{traces.evidence}, not charged: {told}")})


def summary(verdict: Verdict, criteria: Sequence[CriterionResult], checks: Sequence[CheckResult]) -> str:
    """One line for a person."""
    if verdict == "ENVIRONMENT":
        return f"Could not be judged: {_first_doubt(criteria, checks)}"
    shown = [each for each in criteria if each.verdict == "pass"]
    verified = sum(each.grade == "verified_io" for each in shown)
    parts = [f"{len(shown)} of {len(criteria)} criteria shown ({verified} verified_io)"]
    failed = [check.name for check in checks if check.verdict == "fail"]
    parts.append(f"failed checks: {', '.join(failed)}" if failed else "no check failed")
    return "; ".join(parts)


def _first_doubt(criteria: Sequence[CriterionResult], checks: Sequence[CheckResult]) -> str:
    if doubts := [f"{check.name}: {check.evidence}" for check in checks if check.verdict == "environment"]:
        return bounded(doubts[0], 400)
    if doubts := [f"criterion {each.id}: {each.evidence}" for each in criteria if each.verdict != "pass"]:
        return bounded(doubts[0], 400)
    return "the Spec has no criteria, and what nobody asked for cannot be shown"


def signature(criteria: Sequence[CriterionResult], checks: Sequence[CheckResult]) -> str | None:
    """What admin compares between rounds."""
    failures = [(f"criterion {each.id}", each.evidence) for each in criteria if each.verdict == "fail"]
    for check in checks:
        failures += [(f"{check.name} {item.path}", item.message) for item in check.findings]
        if check.verdict == "fail" and not check.findings:
            failures.append((check.name, check.evidence))
    return failure_signature(failures)
