"""Flaky tests: named, charged to whoever brought them, excused where they were flaky before."""

from __future__ import annotations

import pytest
from worksite.validator.domain.baseline import Charge, Relative
from worksite.validator.domain.cases import Case, CaseOutcome, Suite
from worksite.validator.domain.flakiness import Repeated, marked, settled, suspects


def runs(*outcomes: CaseOutcome, test: str = "t::a") -> Repeated:
    return Repeated(tuple(Suite({test: Case(test, outcome)}) for outcome in outcomes))


CHARGED = Relative((Charge("t::a", "failed", "assert 1 == 2"),), ())


def test_what_fails_every_time_stays_charged_as_it_was() -> None:
    assert settled(CHARGED, [runs("failed", "failed", "failed")], runs("passed", "passed")) == CHARGED


def test_a_test_that_is_flaky_only_at_head_is_charged_as_flaky() -> None:
    [charge] = settled(CHARGED, [runs("failed", "passed", "passed")], runs("passed", "passed", "passed")).charged

    assert charge.reason == "is flaky: it failed in 1 of 3 runs of the same code, at base it failed in 0 of 3 runs"
    assert charge.text == "assert 1 == 2"


def test_a_new_flaky_test_is_charged_without_a_word_about_the_base() -> None:
    [charge] = settled(CHARGED, [runs("failed", "failed", "passed")], Repeated()).charged

    assert charge.reason == "is flaky: it failed in 2 of 3 runs of the same code"


def test_a_test_that_was_flaky_before_is_reported_and_not_charged() -> None:
    found = settled(CHARGED, [runs("failed", "passed", "failed")], runs("passed", "failed", "passed"))

    assert found.charged == ()
    assert [each.reason for each in found.preexisting] == [
        "is flaky: it failed in 2 of 3 runs, at base it failed in 1 of 3 runs"
    ]


def test_flakiness_under_the_bases_tests_counts_as_well() -> None:
    steady, shaky = runs("passed", "passed"), runs("failed", "passed")

    assert "is flaky" in settled(CHARGED, [steady, shaky], runs("passed", "passed")).charged[0].reason


FLAKY = runs("passed", "failed", "passed")


def test_a_test_that_never_passes_as_it_was_is_not_excused_for_being_flaky_as_it_is() -> None:
    as_it_is, as_it_was = runs("failed", "passed", "failed"), runs("failed", "failed", "failed")

    assert settled(CHARGED, [as_it_is, as_it_was], FLAKY) == CHARGED


@pytest.mark.parametrize("reason", ["ran at base and is gone", "ran at base and is skipped"])
def test_a_test_that_is_missing_is_not_excused_for_being_flaky_as_it_was(reason: str) -> None:
    missing = Relative((Charge("t::a", reason, failed=False),), ())

    assert settled(missing, [runs("skipped", "skipped"), runs("failed", "passed")], FLAKY) == missing


@pytest.mark.parametrize("run", [Suite({}, "the process ended"), Suite({"t": Case("t", "failed")})])
def test_a_crash_and_a_module_that_cannot_be_collected_make_no_test_flaky(run: Suite) -> None:
    broken = Repeated((*runs("failed", "passed").runs, run))

    assert settled(CHARGED, [broken], FLAKY) == CHARGED
    assert settled(CHARGED, [runs("failed", "passed")], Repeated((*FLAKY.runs, run))).charged


def test_a_new_flaky_test_is_named_where_the_bases_tests_were_run_too() -> None:
    [charge] = settled(CHARGED, [runs("failed", "passed"), runs("passed", test="t::b")], Repeated()).charged

    assert charge.reason == "is flaky: it failed in 1 of 2 runs of the same code"


@pytest.mark.parametrize(("outcome", "suspected"), [("failed", True), ("skipped", False), ("passed", False)])
def test_only_failures_are_worth_another_run(outcome: CaseOutcome, suspected: bool) -> None:
    assert bool(suspects(CHARGED, [runs(outcome).runs[0]])) == suspected


def test_a_marked_test_is_counted_as_flaky() -> None:
    assert marked(runs("failed").runs[0], frozenset({"t::a"})).summary() == "0 passed, 1 flaky"
