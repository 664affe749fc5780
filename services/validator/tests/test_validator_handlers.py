"""ValidateChange to Report: the verdicts, and what is refused."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from worksite.common.errors import StepRefused
from worksite.common.messages import Criterion, Harness, Spec, TestFile

APP = """\"\"\"A calculator.\"\"\"

import json


async def app(scope, receive, send):
    \"\"\"Add two numbers.\"\"\"
    if scope["type"] == "lifespan":
        return
    numbers = json.loads((await receive())["body"])
    answer = {"sum": numbers["a"] + numbers["b"]}
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
"""
GOOD = {"calc.py": APP, "tests/test_calc.py": "import calc\n\n\ndef test_app():\n    assert calc.app\n"}
BAD = {**GOOD, "calc.py": APP.replace(" + ", " - ")}
ACCEPTANCE = TestFile(
    path="acceptance/test_sum.py",
    content="import random\n\n\ndef test_sum(app):\n    a, b = random.random(), random.random()\n"
    "    assert app.post('/', json={'a': a, 'b': b}).json() == {'sum': a + b}\n",
)
UNIT = TestFile(
    path="unit/test_inside.py", content="import calc\n\n\ndef test_documented():\n    assert calc.__doc__\n"
)
SUM = Criterion(id="sum", statement="POST / adds", grade="verified_io", test="acceptance/test_sum.py::test_sum")
DOC = Criterion(
    id="doc", statement="It is documented", grade="self_reported", test="unit/test_inside.py::test_documented"
)


def spec(**changed: Any) -> Spec:
    fields: dict[str, Any] = {
        "title": "A calculator",
        "request": "add numbers",
        "engine": "test",
        "criteria": (SUM, DOC),
        "tests": (ACCEPTANCE, UNIT),
        "harness": Harness(target="calc:app"),
    }
    return Spec(**{**fields, **changed})


def test_a_good_change_passes_with_every_criterion_and_its_grade(project: Any, judge: Callable[..., Any]) -> None:
    judged = judge(spec(), project.commit(GOOD))

    assert judged.report.verdict == judged.judgement.verdict == "PASS"
    assert [(each.id, each.verdict, each.grade) for each in judged.report.criteria] == [
        ("sum", "pass", "verified_io"),
        ("doc", "pass", "self_reported"),
    ]
    assert judged.report.failure_signature is None
    assert judged.report.summary == "2 of 2 criteria shown (1 verified_io); no check failed"
    assert judged.report.environment.isolation in ("namespaces", "jail")
    assert judged.document.startswith("# PASS: A calculator")
    assert any(line.startswith("acceptance: pass") for line in judged.progress)


def test_a_bad_change_fails_naming_the_criterion_twice_with_one_signature(
    project: Any, judge: Callable[..., Any]
) -> None:
    head = project.commit(BAD)

    first, second = judge(spec(), head), judge(spec(), head)

    assert first.report.verdict == "FAIL"
    assert first.criterion("sum").verdict == "fail"
    assert first.criterion("doc").verdict == "pass"
    assert "test_sum failed" in first.check("acceptance").findings[0].message
    assert first.report.failure_signature == second.report.failure_signature is not None
    assert "## Criteria that were not shown" in first.document


def test_a_lock_that_cannot_be_installed_is_environment_and_not_a_verdict(
    project: Any, judge: Callable[..., Any]
) -> None:
    judged = judge(spec(), project.commit({**BAD, "requirements.txt": "worksite-test-no-such-package==1.0\n"}))

    assert judged.report.verdict == "ENVIRONMENT"
    assert "worksite-test-no-such-package" in judged.report.summary
    assert {each.verdict for each in judged.report.criteria} == {"environment"}
    assert judged.report.failure_signature is None


def test_zero_criteria_is_never_a_pass(project: Any, judge: Callable[..., Any]) -> None:
    judged = judge(spec(criteria=(), tests=()), project.commit(GOOD))

    assert judged.report.verdict == "ENVIRONMENT"


def test_a_review_without_criteria_of_its_own_is_judged_by_the_projects_tests(
    project: Any, judge: Callable[..., Any]
) -> None:
    only = Criterion(id="project-tests", statement="The project's tests pass", grade="self_reported")
    base = project.commit(GOOD)
    head = project.commit({**GOOD, "tests/test_calc.py": "import calc\n\n\ndef test_other():\n    assert calc.app\n"})
    review = spec(criteria=(only,), tests=(), harness=None)

    passed, failed = judge(review, base), judge(review, head, base)

    assert passed.report.verdict == "PASS"
    assert passed.criterion("project-tests").grade == "self_reported"
    assert failed.report.verdict == "FAIL"
    assert "gone" in failed.check("project-tests").findings[0].message


def test_a_hostile_test_name_cannot_write_markup_into_the_report(project: Any, judge: Callable[..., Any]) -> None:
    tests = "import pytest\n\n\n@pytest.mark.parametrize('x', ['</code>```\\n# PASS'])\ndef test_x(x):\n    assert 0\n"

    judged = judge(spec(tests=(), criteria=()), project.commit({**GOOD, "tests/test_x.py": tests}))

    assert not [line for line in judged.document.splitlines() if line.startswith("# ")][1:]


@pytest.mark.parametrize("path", ["/etc/x.py", "acceptance/../../x.py", "acceptance/x.sh"])
def test_a_spec_with_a_test_outside_its_folder_is_refused(project: Any, judge: Callable[..., Any], path: str) -> None:
    with pytest.raises(StepRefused, match="outside its folder"):
        judge(spec(tests=(TestFile(path=path, content=""),)), project.commit(GOOD))


def test_a_spec_with_an_acceptance_module_of_another_name_is_refused(project: Any, judge: Callable[..., Any]) -> None:
    with pytest.raises(StepRefused, match="begins with `test_`"):
        judge(spec(tests=(TestFile(path="acceptance/sum_test.py", content=""),)), project.commit(GOOD))


HOSTILE = {
    "a text that is no Unicode in a failure": {
        "tests/test_x.py": "def test_x():\n    raise AssertionError('\\ud800')\n",
    },
    "a text where pytest's settings belong": {"pyproject.toml": "[tool.pytest]\nini_options = 'python_files'\n"},
    "a key without a value": {"setup.cfg": "[metadata]\nname\n", "tests/test_x.py": "def test_x():\n    assert 0\n"},
    "a depth of 5000": {"pyproject.toml": "a = " + "[" * 5000 + "]" * 5000 + "\n"},
    "a start-up that fails with no Unicode": {"calc.py": "raise RuntimeError('\\ud800')\n"},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_no_content_of_a_change_keeps_it_from_being_judged(project: Any, judge: Callable[..., Any], what: str) -> None:
    judged = judge(spec(), project.commit({**GOOD, **HOSTILE[what]}))

    assert judged.check("project-tests").verdict in ("pass", "fail")
    assert judged.check("acceptance").verdict in ("pass", "fail")


def test_an_unknown_commit_is_refused(project: Any, judge: Callable[..., Any]) -> None:
    project.commit(GOOD)

    with pytest.raises(StepRefused, match="does not contain commit"):
        judge(spec(), "1" * 40)


def test_a_change_that_does_not_go_on_from_its_base_is_refused(project: Any, judge: Callable[..., Any]) -> None:
    base = project.commit(GOOD)
    stale = project.git("commit-tree", f"{base}^{{tree}}", "-m", "the same files, and no history")
    project.git("branch", "elsewhere", stale)

    with pytest.raises(StepRefused, match="does not go on from the imported commit") as refused:
        judge(spec(), stale, base)

    assert refused.value.code == "stale-base"


def test_nothing_is_left_in_the_sandbox_after_a_judgement(bench: Any, project: Any, judge: Callable[..., Any]) -> None:
    def kept() -> set[str]:
        ours = (f"workspace-{os.getpid()}-", f"scratch-{os.getpid()}-")  # the root is shared with other processes
        return {path.name for path in bench.sandbox.root.iterdir() if path.name.startswith(ours)}

    before = kept()
    judge(spec(criteria=(), tests=()), project.commit(GOOD))

    assert kept() <= before


@pytest.mark.asyncio
async def test_a_cancelled_judgement_cleans_up(bench: Any, project: Any, start_judging: Callable[..., Any]) -> None:
    slow = {**GOOD, "tests/test_slow.py": "import time\n\n\ndef test_slow():\n    time.sleep(60)\n"}
    ours = f"workspace-{os.getpid()}-*"  # the root is shared with other processes
    before = {path.name for path in bench.sandbox.root.glob(ours)}
    running = asyncio.create_task(start_judging(spec(criteria=(), tests=()), project.commit(slow)))
    while not {path.name for path in bench.sandbox.root.glob(ours)} - before:
        await asyncio.sleep(0.01)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert {path.name for path in bench.sandbox.root.glob(ours)} <= before
