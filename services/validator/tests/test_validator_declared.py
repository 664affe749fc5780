"""Declared acceptance tests and commands decide as the base has them, whatever the change makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from worksite.common.errors import StepRefused
from worksite.common.messages import CheckCommand, Criterion, FileNote, Spec, TestFile

pytestmark = [pytest.mark.proof, pytest.mark.timeout(600)]  # a guard against hanging, not a measure
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

    def run(
        *criteria: Criterion,
        base: Files = BASE,
        spec: dict[str, Any] | None = None,
        reviewed: bool = True,
        **change: str | None,
    ) -> Any:
        before = project.commit(base) if base else None
        named = {name.replace("__", "/").replace("_dot_", "."): text for name, text in change.items()}
        after = {name: text for name, text in {**BASE, **base, **named}.items() if text is not None}
        wanted = Spec(title="t", request="r", engine="rules", criteria=criteria, **(spec or {}))
        return judge(wanted, project.commit(after), before, reviewed=reviewed)

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


TESTED = {"tests__test_it_dot_py": "def test_it():\n    assert True\n"}


def test_without_a_base_the_projects_own_acceptance_tests_claim_no_more_than_its_others(review: Any) -> None:
    modest = ADDS.model_copy(update={"grade": "self_reported"})

    judged = review(modest, base={}, **TESTED)
    assert (judged.report.verdict, judged.criterion("adds").grade) == ("PASS", "self_reported"), judged.document
    assert judged.check("acceptance").grade == "self_reported"
    assert review(ADDS, base={}, **TESTED).report.verdict == "ENVIRONMENT"


def test_without_a_base_a_command_of_the_candidates_own_answers_nothing(review: Any) -> None:
    judged = review(UNIT, OWN, base={}, worksite_dot_toml='[acceptance]\n\n[checks.unit]\ncommand = ["true"]\n')

    assert judged.check("unit").verdict == "pass"
    assert judged.criterion("unit").verdict == "environment"
    assert (judged.check("project-tests").verdict, judged.check("project-tests").evidence) == (
        "fail",
        "no test was collected",
    )
    assert judged.report.verdict == "FAIL"


def test_without_a_base_a_command_of_the_candidates_own_that_fails_is_charged(review: Any) -> None:
    judged = review(UNIT, base={}, worksite_dot_toml='[checks.unit]\ncommand = ["false"]\n', **TESTED)

    assert judged.check("unit").verdict == "fail"


def test_without_a_base_a_command_of_the_spec_answers_for_the_tests(review: Any) -> None:
    command = CheckCommand(name="unit", command=("sh", "tests/run.sh"))

    assert review(UNIT, OWN, base={}, spec={"commands": (command,)}).report.verdict == "PASS"


UNREADABLE = {
    "checks.unit.command": {"worksite.toml": "[checks.unit]\n"},
    "the name of an acceptance module": {"acceptance/sums_test.py": ""},
    "more than 64 KiB": {"worksite.toml": "#" * (65 << 10)},
}


@pytest.mark.parametrize("said", UNREADABLE)
def test_a_declaration_of_the_base_that_cannot_be_read_counts_as_none_and_is_told(review: Any, said: str) -> None:
    judged = review(OWN, base=BASE | UNREADABLE[said], spec={}, **TESTED)

    assert judged.report.verdict == "PASS", judged.document
    assert said in judged.check("forbidden-changes").preexisting[0].message
    assert "## Found at base too" in judged.document


@pytest.mark.parametrize("said", UNREADABLE)
def test_a_declaration_that_the_change_makes_unreadable_is_charged_with_its_place(review: Any, said: str) -> None:
    named = {name.replace("/", "__").replace(".", "_dot_"): text for name, text in UNREADABLE[said].items()}

    with_base, without = review(ADDS, **named), review(OWN, base={}, **TESTED, **named)

    assert with_base.criterion("adds").verdict == "pass"
    for judged in (with_base, without):
        assert judged.report.verdict == "FAIL"
        assert [said in each.message for each in judged.check("forbidden-changes").findings] == [True]


OVERREACH = {
    "the declaration": {"worksite_dot_toml": DECLARED + "# more\n"},
    "a new helper": {"acceptance__conftest_dot_py": ""},
    "a test": {"acceptance__test_add_dot_py": ACCEPTANCE + "# more\n"},
    "the end of a test": {"acceptance__test_add_dot_py": None},
}


@pytest.mark.parametrize("what", OVERREACH)
def test_an_agent_may_not_change_unasked_what_changes_are_judged_by_and_a_person_may(review: Any, what: str) -> None:
    judged = review(ADDS, reviewed=False, **OVERREACH[what])

    assert judged.report.verdict == "FAIL"
    assert "changes are judged by this file" in judged.check("forbidden-changes").findings[0].message
    reviewed = review(ADDS, **OVERREACH[what])
    assert reviewed.report.verdict == "PASS", reviewed.document
    assert "rewrites what changes are judged by" in reviewed.check("tampering").evidence


def test_an_agent_may_change_what_the_spec_names_and_write_down_the_specs_own_tests(review: Any) -> None:
    other = TestFile(path="acceptance/test_more.py", content="def test_it(run):\n    run('true')\n")
    spec: dict[str, Any] = {"files": (FileNote(path="worksite.toml", purpose="x"),), "tests": (other,)}
    change = {"worksite_dot_toml": DECLARED + "# more\n", "acceptance__test_more_dot_py": other.content}
    unfaithful = change | {"acceptance__test_more_dot_py": other.content + "# more\n"}
    naming = spec | {"files": (*spec["files"], FileNote(path=other.path, purpose="its own test"))}

    assert review(ADDS, reviewed=False, spec=spec, **change).report.verdict == "PASS"
    for each in (spec, naming):
        assert review(ADDS, reviewed=False, spec=each, **unfaithful).check("forbidden-changes").verdict == "fail"


HOOK = """
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
"""


def test_a_helper_of_the_base_has_no_part_in_the_specs_tests(review: Any) -> None:
    spec = {"tests": (TestFile(path="acceptance/test_sums.py", content=ACCEPTANCE),)}
    sums = ADDS.model_copy(update={"id": "sums", "test": "acceptance/test_sums.py::test_it_adds"})

    judged = review(sums, base=BASE | {"acceptance/conftest.py": HOOK}, spec=spec, add_dot_sh=WRONG)

    assert judged.criterion("sums").verdict == "fail"


def test_tests_of_the_base_and_of_the_spec_are_each_run_with_helpers_of_their_own(review: Any) -> None:
    helper = "import pytest\n\n@pytest.fixture\ndef {}():\n    return 2\n"
    uses = "def test_{0}(run, {0}):\n    assert run('sh', 'add.sh', 1, {0}).out == '3\\n'\n"
    base = {"acceptance/conftest.py": helper.format("old"), "acceptance/test_old.py": uses.format("old")}
    files = {"acceptance/conftest.py": helper.format("new"), "acceptance/test_new.py": uses.format("new")}
    spec = {"tests": tuple(TestFile(path=name, content=text) for name, text in files.items())}
    wanted = [
        ADDS.model_copy(update={"id": name, "test": f"acceptance/test_{name}.py::test_{name}"})
        for name in ("old", "new")
    ]

    judged = review(*wanted, base=BASE | base, spec=spec, README_dot_md="x")

    assert judged.report.verdict == "PASS", judged.document
    assert review(*wanted, base=BASE | base, spec=spec, add_dot_sh=WRONG).criterion("old").verdict == "fail"


MADE = {
    "worksite.toml": '[acceptance]\n\n[checks.unit]\ncommand = ["make", "check"]\n',
    "Makefile": "check:\n\tsh tests/run.sh\n",
}
STEERED = {
    "the file that make obeys": {"Makefile": "check:\n\ttrue\n"},
    "a file that make prefers": {"GNUmakefile": "check:\n\ttrue\n"},
    "a helper beside the tests": {"tests/local.sh": "exit 0\n"},
    "a test that is gone": {"tests/run.sh": "exit 0\n"},
}
SOURCING = 'if test -f tests/local.sh; then . tests/local.sh; fi\ntest "$(sh add.sh 2 3)" = 5\n'


@pytest.mark.parametrize("what", STEERED)
def test_a_change_cannot_steer_the_program_that_runs_a_declared_command(review: Any, what: str) -> None:
    base = BASE | MADE | {"tests/run.sh": SOURCING}
    named = {name.replace("/", "__").replace(".", "_dot_"): text for name, text in STEERED[what].items()}

    assert review(UNIT, base=base, README_dot_md="x").report.verdict == "PASS"
    judged = review(UNIT, base=base, add_dot_sh=WRONG, **named)
    assert judged.check("unit").verdict == "fail"
    assert "base" in judged.check("unit").evidence


def test_a_change_cannot_weaken_a_script_that_a_shells_line_runs(review: Any) -> None:
    checking = 'test "$(sh add.sh 2 3)" = 5 || exit 1\n'
    base = BASE | {"worksite.toml": '[checks.unit]\ncommand = ["sh", "-c", "sh check.sh"]\n', "check.sh": checking}

    judged = review(UNIT, base=base, add_dot_sh=WRONG, check_dot_sh="exit 0\n")

    assert judged.check("unit").verdict == "fail"


@pytest.mark.parametrize("declared", ['["sh", "tests/run.sh", "."]', '["sh", "tests/run.sh"]\ntests = ["."]'])
def test_the_whole_project_is_never_taken_from_the_base(review: Any, declared: str) -> None:
    base = BASE | {"worksite.toml": f"[checks.unit]\ncommand = {declared}\n"}

    assert review(UNIT, base=base, add_dot_sh=WRONG).check("unit").verdict == "fail"
    weakened = review(UNIT, base=base, add_dot_sh=WRONG, tests__run_dot_sh="exit 0\n")
    assert weakened.check("unit").verdict == "fail"


def test_a_command_of_the_spec_may_not_be_named_like_a_check(review: Any) -> None:
    with pytest.raises(StepRefused, match="name of a check of ours: lint"):
        review(ADDS, spec={"commands": (CheckCommand(name="lint", command=("true",)),)})


def test_a_new_project_cannot_add_acceptance_tests_of_its_own_to_those_of_the_spec(review: Any) -> None:
    spec = {"tests": (TestFile(path="acceptance/test_sums.py", content=ACCEPTANCE),)}
    sums = ADDS.model_copy(update={"test": "acceptance/test_sums.py::test_it_adds"})
    own = {"acceptance__test_add_dot_py": "def test_it_adds(run): assert False\n"}

    judged = review(sums, base={}, spec=spec, **own, **TESTED)

    assert (judged.report.verdict, judged.criterion("adds").grade) == ("PASS", "verified_io"), judged.document
