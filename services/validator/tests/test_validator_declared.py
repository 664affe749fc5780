"""Declared acceptance tests and commands decide as the base has them, whatever the change makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from worksite.common.errors import StepRefused
from worksite.common.messages import CheckCommand, Criterion, Spec, TestFile

Files = dict[str, str]
ADDS = Criterion(id="adds", statement="It adds.", grade="verified_io", test="acceptance/test_add.py::test_it_adds")
UNIT = Criterion(id="unit", statement="The unit tests pass.", grade="self_reported")
OWN = Criterion(id="project-tests", statement="The project's own tests pass.", grade="self_reported")
ACCEPTANCE = """
import random

def test_it_adds(run):
    a, b = random.sample(range(10**6), 2)
    assert run("sh", "add.sh", a, b).out == f"{a + b}\\n"
"""
DECLARED = '[acceptance]\n\n[checks.unit]\ncommand = ["sh", "tests/run.sh"]\n'
RIGHT, WRONG = "echo $(($1 + $2))\n", "echo $(($1 * $2))\n"
BASE: Files = {
    "worksite.toml": DECLARED,
    "acceptance/test_add.py": ACCEPTANCE,
    "tests/run.sh": 'test "$(sh add.sh 2 3)" = 5\n',
    "add.sh": RIGHT,
}


@pytest.fixture
def review(judge: Callable[..., Any], project: Any) -> Callable[..., Any]:
    """Judge `BASE` with these changes on top of it, by criteria."""

    def run(*criteria: Criterion, base: Files = BASE, spec: dict[str, Any] | None = None, **change: str) -> Any:
        before = project.commit(base) if base else None
        named = {name.replace("__", "/").replace("_dot_", "."): text for name, text in change.items()}
        wanted = Spec(title="t", request="r", engine="rules", criteria=criteria, **(spec or {}))
        return judge(wanted, project.commit({**BASE, **named}), before)

    return run


def test_a_program_in_another_language_is_proved_across_the_pipe_and_by_its_own_command(review: Any) -> None:
    judged = review(ADDS, UNIT, OWN, add_dot_sh="a=$1\nb=$2\necho $((a + b))\n")

    assert judged.report.verdict == "PASS", judged.document
    assert [(each.id, each.grade) for each in judged.report.criteria] == [
        ("adds", "verified_io"),
        ("unit", "self_reported"),
        ("project-tests", "self_reported"),
    ]
    assert judged.check("project-tests").verdict == "not_applicable"


def test_a_wrong_program_in_another_language_is_refuted_by_both(review: Any) -> None:
    judged = review(ADDS, UNIT, OWN, add_dot_sh=WRONG)

    assert [each.verdict for each in judged.report.criteria] == ["fail", "fail", "fail"]
    assert judged.check("unit").findings[0].message.startswith("sh tests/run.sh ended with exit code 1")


WEAKENED = {
    "the command's script": {"tests__run_dot_sh": "exit 0\n"},
    "the declaration": {"worksite_dot_toml": '[acceptance]\n\n[checks.unit]\ncommand = ["true"]\n'},
    "no declaration": {"worksite_dot_toml": ""},
}


@pytest.mark.parametrize("what", WEAKENED)
def test_a_change_cannot_weaken_the_command_it_is_judged_by(review: Any, what: str) -> None:
    assert review(UNIT, add_dot_sh=WRONG, **WEAKENED[what]).check("unit").verdict == "fail"


@pytest.mark.parametrize(
    "change", [{"acceptance__test_add_dot_py": "def test_it_adds(run): run('true')\n"}, WEAKENED["no declaration"]]
)
def test_a_change_cannot_weaken_the_acceptance_tests_it_is_judged_by(review: Any, change: Files) -> None:
    judged = review(ADDS, add_dot_sh=WRONG, **change)

    assert (judged.criterion("adds").verdict, judged.criterion("adds").grade) == ("fail", "verified_io")


def test_what_failed_at_base_is_reported_and_not_charged(review: Any) -> None:
    red = BASE | {"tests/run.sh": "exit 7\n"}
    judged = review(ADDS, UNIT, base=red, tests__run_dot_sh="exit 7\n", README_dot_md="x")

    unit = judged.check("unit")
    assert (unit.verdict, len(unit.findings), len(unit.preexisting)) == ("not_applicable", 0, 1)
    assert judged.criterion("unit").verdict == "environment"
    assert judged.report.verdict == "ENVIRONMENT"


def test_a_command_of_the_spec_is_charged_even_where_it_failed_at_base(review: Any) -> None:
    command = CheckCommand(name="release", command=("sh", "release.sh"))
    judged = review(ADDS, spec={"commands": (command,)}, README_dot_md="x")

    assert judged.check("release").verdict == "fail"
    assert judged.report.verdict == "FAIL"


def test_without_a_base_the_projects_own_acceptance_tests_claim_no_more_than_its_others(review: Any) -> None:
    modest = ADDS.model_copy(update={"grade": "self_reported"})

    judged = review(modest, base={})
    assert (judged.report.verdict, judged.criterion("adds").grade) == ("PASS", "self_reported"), judged.document
    assert judged.check("acceptance").grade == "self_reported"
    assert review(ADDS, base={}).report.verdict == "ENVIRONMENT"


def test_a_declaration_that_cannot_be_read_is_refused_with_its_place(review: Any) -> None:
    with pytest.raises(StepRefused, match=r"worksite\.toml: checks\.unit\.command"):
        review(ADDS, base=BASE | {"worksite.toml": "[checks.unit]\n"})


def test_an_acceptance_module_that_nobody_would_run_is_refused(review: Any) -> None:
    with pytest.raises(StepRefused, match=r"acceptance/sums_test\.py: the name of an acceptance module"):
        review(ADDS, base=BASE | {"acceptance/sums_test.py": ""})


def test_a_command_of_the_spec_may_not_be_named_like_a_check(review: Any) -> None:
    with pytest.raises(StepRefused, match="name of a check of ours: lint"):
        review(ADDS, spec={"commands": (CheckCommand(name="lint", command=("true",)),)})


def test_a_new_project_cannot_add_acceptance_tests_of_its_own_to_those_of_the_spec(review: Any) -> None:
    spec = {"tests": (TestFile(path="acceptance/test_sums.py", content=ACCEPTANCE),)}
    sums = ADDS.model_copy(update={"test": "acceptance/test_sums.py::test_it_adds"})

    judged = review(sums, base={}, spec=spec, acceptance__test_add_dot_py="def test_it_adds(run): assert False\n")

    assert (judged.report.verdict, judged.criterion("adds").grade) == ("PASS", "verified_io"), judged.document
