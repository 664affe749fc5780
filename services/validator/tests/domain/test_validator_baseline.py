"""Judging relative to the base."""

from __future__ import annotations

from worksite.common.messages import Finding
from worksite.validator.domain.baseline import compare, compare_findings
from worksite.validator.domain.cases import Case, CaseOutcome, Suite

T = "tests/test_a.py::test_it"


def suite(**outcomes: CaseOutcome) -> Suite:
    return Suite(
        {
            f"tests/test_a.py::test_{name}": Case(f"tests/test_a.py::test_{name}", outcomes[name], "why")
            for name in outcomes
        }
    )


def test_without_a_base_every_failure_is_charged() -> None:
    relative = compare(None, suite(it="failed", other="passed"), None)

    assert [charge.test for charge in relative.charged] == [T]
    assert relative.preexisting == ()


def test_what_was_red_at_base_is_reported_and_not_charged() -> None:
    relative = compare(suite(it="failed"), suite(it="failed"), None)

    assert relative.charged == ()
    assert [charge.test for charge in relative.preexisting] == [T]


def test_a_test_that_ran_at_base_and_is_gone_is_charged() -> None:
    [charge] = compare(suite(it="passed"), suite(other="passed"), None).charged

    assert charge.test == T
    assert "gone" in charge.reason


def test_a_test_that_ran_at_base_and_is_skipped_is_charged() -> None:
    [charge] = compare(suite(it="passed"), suite(it="skipped"), None).charged

    assert "skipped" in charge.reason


def test_a_new_test_may_be_skipped() -> None:
    assert compare(suite(), suite(it="skipped"), None).charged == ()


def test_the_spec_may_let_a_test_go_by_id_or_by_file() -> None:
    for listed in (T, "tests/test_a.py"):
        relative = compare(suite(it="passed"), suite(), suite(), (listed,))
        assert relative.charged == ()
    assert compare(suite(it="passed"), suite(), None, ("tests/test_b.py",)).charged


def test_a_weakened_test_is_caught_by_running_it_as_it_was() -> None:
    base, changed, as_it_was = suite(it="passed"), suite(it="passed"), suite(it="failed")

    [charge] = compare(base, changed, as_it_was).charged

    assert charge.reason == "passed at base; as it was at base it now fails"


def test_a_test_is_charged_once() -> None:
    assert len(compare(suite(it="passed"), suite(it="failed"), suite(it="failed")).charged) == 1


def test_a_red_test_that_was_removed_is_only_reported() -> None:
    relative = compare(suite(it="failed"), suite(other="passed"), None)

    assert relative.charged == ()
    assert "no longer runs" in relative.preexisting[0].reason


def test_where_the_bases_run_broke_off_every_test_that_it_has_must_run_and_pass() -> None:
    broken = Suite(trouble="it ended early")

    charged = compare(broken, suite(it="passed"), suite(it="failed", gone="passed", skipped="skipped")).charged

    assert {charge.test.split("_")[-1]: charge.reason for charge in charged} == {
        "it": "could not be run at base; as it was at base it now fails",
        "gone": "ran at base and is gone or deselected at head",
    }


def test_findings_of_the_base_are_recognised_wherever_they_moved() -> None:
    old = [Finding(check="lint", message="F401", path="a.py", line=3)]
    moved = [Finding(check="lint", message="F401", path="a.py", line=9)]

    assert compare_findings(moved, old) == ((), tuple(moved))


def test_a_second_finding_of_the_same_kind_is_new() -> None:
    old = [Finding(check="lint", message="F401", path="a.py", line=3)]
    both = [*old, Finding(check="lint", message="F401", path="a.py", line=4)]

    charged, preexisting = compare_findings(both, old)

    assert (charged, preexisting) == ((both[1],), (both[0],))
