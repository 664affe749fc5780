"""From evidence to a verdict."""

from __future__ import annotations

import pytest
from worksite.common.messages import CheckResult, CheckVerdict, Criterion, CriterionResult, Finding, Grade
from worksite.validator.domain.cases import Case, CaseOutcome, Suite
from worksite.validator.domain.judgement import (
    MAX_FINDINGS,
    bounded,
    bounded_findings,
    judge_criterion,
    overall,
    signature,
    summary,
)

TEST = "acceptance/test_a.py::test_it"


def criterion(test: str | None = TEST, grade: Grade = "verified_io", identity: str = "it") -> Criterion:
    return Criterion(id=identity, statement="It works", grade=grade, test=test)


def suite(*cases: Case, trouble: str | None = None) -> Suite:
    return Suite({case.id: case for case in cases}, trouble)


def case(outcome: CaseOutcome = "passed", identity: str = TEST, exchanges: int = 3) -> Case:
    return Case(identity, outcome, "why", 0.5, exchanges)


def check(verdict: CheckVerdict = "pass", name: str = "lint", *findings: Finding) -> CheckResult:
    return CheckResult(
        name=name, verdict=verdict, grade="verified_io", evidence="seen", duration_seconds=1, findings=findings
    )


def judged(verdict: CheckVerdict, grade: Grade = "verified_io") -> CriterionResult:
    return judge_criterion(criterion(), {}, {}).model_copy(update={"verdict": verdict, "grade": grade})


def test_a_criterion_is_shown_by_its_test_and_the_evidence_says_how() -> None:
    result = judge_criterion(criterion(), {"verified_io": suite(case())}, {})

    assert (result.verdict, result.grade, result.duration_seconds) == ("pass", "verified_io", 0.5)
    assert result.evidence == f"{TEST} passed, 3 exchanges with the candidate"


def test_a_projects_own_acceptance_folder_shows_what_its_other_tests_show() -> None:
    """On a review; where the Spec brings acceptance tests, the folder is the Spec's."""
    theirs, ours = {"self_reported": suite(case(exchanges=0))}, {"verified_io": suite(case("failed"))}

    result = judge_criterion(criterion(grade="self_reported"), theirs, {})
    assert (result.verdict, result.grade) == ("pass", "self_reported")
    assert judge_criterion(criterion(grade="self_reported"), theirs | ours, {}).verdict == "fail"
    assert judge_criterion(criterion(grade="verified_io"), theirs, {}).verdict == "environment"


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_criterion_whose_test_failed_or_was_skipped_is_refuted(outcome: CaseOutcome) -> None:
    result = judge_criterion(criterion(), {"verified_io": suite(case(outcome))}, {})

    assert result.verdict == "fail"
    assert outcome in result.evidence
    assert "why" in result.evidence


def test_a_flaky_test_neither_shows_nor_refutes_a_criterion() -> None:
    result = judge_criterion(criterion(), {"verified_io": suite(case("flaky"))}, {})

    assert (result.verdict, "is flaky" in result.evidence) == ("environment", True)


def test_every_variant_of_a_parametrised_test_must_pass() -> None:
    variants = suite(case(identity=f"{TEST}[a]"), case("failed", f"{TEST}[b]"))

    assert judge_criterion(criterion(), {"verified_io": variants}, {}).verdict == "fail"


def test_a_test_that_was_not_collected_shows_nothing() -> None:
    other = suite(case(identity="acceptance/test_a.py::test_it_too"))

    assert judge_criterion(criterion(), {"verified_io": other}, {}).verdict == "fail"


def test_a_run_that_broke_off_refutes_the_criteria_that_it_did_not_reach() -> None:
    broken = suite(trouble="the runner died")

    result = judge_criterion(criterion(), {"verified_io": broken}, {})

    assert result.verdict == "fail"
    assert "the runner died" in result.evidence


def test_a_verified_test_that_never_talked_to_the_candidate_shows_nothing() -> None:
    silent = suite(case(exchanges=0))

    assert judge_criterion(criterion(), {"verified_io": silent}, {}).verdict == "environment"


def test_verified_io_cannot_be_shown_by_a_test_in_the_candidates_process() -> None:
    inside = criterion("unit/test_a.py::test_it")
    passed = suite(case(identity="unit/test_a.py::test_it"))

    result = judge_criterion(inside, {"self_reported": passed}, {})

    assert (result.verdict, result.grade) == ("environment", "self_reported")


def test_a_criterion_without_a_test_is_judged_by_the_check_it_names() -> None:
    named = criterion(None, identity="project-tests")

    assert judge_criterion(named, {}, {"project-tests": check("fail", "project-tests")}).verdict == "fail"
    assert judge_criterion(named, {}, {"project-tests": check("pass", "project-tests")}).verdict == "pass"
    assert judge_criterion(named, {}, {}).verdict == "environment"
    assert judge_criterion(named, {}, {"project-tests": check("not_applicable")}).verdict == "environment"


def test_verified_io_cannot_be_shown_by_a_check_in_the_candidates_process() -> None:
    named = criterion(None, identity="project-tests")
    passed = check("pass", "project-tests").model_copy(update={"grade": "self_reported"})
    failed = check("fail", "project-tests").model_copy(update={"grade": "self_reported"})

    assert judge_criterion(named, {}, {"project-tests": passed}).verdict == "environment"
    assert judge_criterion(named, {}, {"project-tests": failed}).verdict == "fail"
    modest = criterion(None, "self_reported", "project-tests")
    assert judge_criterion(modest, {}, {"project-tests": passed}).verdict == "pass"


def test_pass_needs_every_criterion_shown_and_no_check_against() -> None:
    assert overall([judged("pass")], [check(), check("not_applicable")]) == "PASS"
    assert overall([judged("pass"), judged("fail")], [check()]) == "FAIL"
    assert overall([judged("pass")], [check("fail")]) == "FAIL"
    assert overall([judged("pass")], [check("environment")]) == "ENVIRONMENT"
    assert overall([judged("pass"), judged("environment")], [check()]) == "ENVIRONMENT"
    assert overall([judged("environment")], [check("fail")]) == "FAIL"


def test_zero_criteria_is_never_pass() -> None:
    assert overall([], [check()]) == "ENVIRONMENT"
    assert "no criteria" in summary("ENVIRONMENT", [], [check()])


def test_the_summary_counts_what_was_shown_by_which_grade() -> None:
    criteria = [judged("pass"), judged("pass", "self_reported"), judged("fail")]

    said = summary("FAIL", criteria, [check("fail", "lint"), check()])

    assert said == "2 of 3 criteria shown (1 verified_io); failed checks: lint"


def test_the_summary_of_an_unjudged_change_gives_the_reason() -> None:
    assert "seen" in summary("ENVIRONMENT", [judged("environment")], [check("environment", "environment")])


def test_the_signature_is_the_same_for_the_same_failure_and_another_for_another() -> None:
    def failing(text: str) -> str | None:
        return signature([judged("fail").model_copy(update={"evidence": text})], [check()])

    assert failing("x.py:3: in test\nE  assert 500 == 200") == failing("x.py:9: in test\nE  assert 500 == 200")
    assert failing("x.py:3: in test\nE  assert 500 == 200") != failing("x.py:3: in test\nE  assert 404 == 200")
    assert signature([judged("pass")], [check()]) is None


def test_evidence_and_findings_are_bounded() -> None:
    many = [Finding(check="lint", message="m" * 10_000)] * (MAX_FINDINGS + 7)

    kept = bounded_findings(many)

    assert len(kept) == MAX_FINDINGS + 1
    assert kept[-1].message == "… and 7 more"
    assert len(kept[0].message) < 2000
    assert bounded("short") == "short"
    assert len(bounded("x" * 100_000, 500)) <= 500
