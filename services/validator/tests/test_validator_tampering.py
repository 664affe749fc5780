"""Traces of cheating are named, with their place, and never charged on their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worksite.common.messages import CheckResult, Criterion, Finding, Spec
from worksite.validator.bench import Bench, Change, Version
from worksite.validator.checks.tampering import tampering
from worksite.validator.domain.judgement import weighed
from worksite.validator.environment import NO_DEPENDENCIES
from worksite.validator.tree import Tree

OWN_TESTS = Criterion(id="project-tests", statement="The project's own tests pass.", grade="self_reported")
TRACES = {
    "app.py": [
        ("import os\ndef f(): os._exit(0)\n", 2, "ends the process by os._exit"),
        ("from os import _exit as leave\nleave(0)\n", 2, "ends the process by os._exit"),
        ("import sys\nsys.exit(0)\n", 2, "ends the process at import: sys.exit"),
        ("raise SystemExit\n", 1, "ends the process at import: SystemExit"),
        ("import atexit\natexit.register(print)\n", 2, "runs code when the process ends: atexit.register"),
        ("class A:\n    def __eq__(self, other):\n        return True\n", 2, "__eq__ always says the same"),
        ("import builtins\nbuiltins.len = print\n", 2, "changes builtins.len"),
        ("import json as j\nj.dumps = print\n", 2, "changes json.dumps"),
        ("import sys\nsys.modules['json'] = None\n", 2, "changes sys.modules"),
        ("import json\nsetattr(json, 'dumps', print)\n", 2, "changes json"),
        ("import sys\nif 'pytest' in sys.modules: pass\n", 2, "decides by a test's name or presence: pytest"),
        ("import _pytest.python\n", 1, "imports _pytest.python outside of the tests"),
        ("import gc\nx = gc.get_objects()\n", 2, "searches the memory of its process: gc.get_objects"),
        ("OUT = 'acceptance/test_a.py'\n", 1, "names the acceptance tests (acceptance/test_a.py)"),
        ("class A:\n    def __reduce__(self): ...\n", 2, "__reduce__: a pickle of it runs code where it is read"),
    ],
    "tests/test_app.py": [
        ("import pytest\n@pytest.mark.skip\ndef test_a(): ...\n", 3, "pytest.mark.skip on test_a"),
        ("import unittest\n@unittest.skip('no')\nclass TestA: ...\n", 3, "unittest.skip on TestA"),
        ("import pytest\ndef test_a(): pytest.skip('no')\n", 2, "skips tests: pytest.skip"),
    ],
    "conftest.py": [
        (
            "def pytest_runtest_makereport(): ...\n",
            1,
            "hook pytest_runtest_makereport: can change what is run or reported",
        ),
        ("collect_ignore = ['tests']\n", 1, "says what is collected or loaded: collect_ignore"),
    ],
    "sitecustomize.py": [("", 1, "is run by every Python that starts here")],
    "evil.pth": [("import os\n", 1, "is run by every Python that starts here")],
    "src/json.py": [("", 1, "stands in for the module json")],
    "pytest/__init__.py": [("", 1, "stands in for the module pytest")],
    "pytest.ini": [("[pytest]\naddopts = -k no\n", 2, "addopts leave tests out or load plugins: -k no")],
}
HONEST = {
    "app.py": """
import json
import logging
import os
import sys

import helper

class Price:
    def __eq__(self, other):
        return isinstance(other, Price) and self.cents == other.cents

def main():
    os.environ["MODE"] = "test"
    self = Price()
    self.cents = 1
    helper.setting = json.dumps({})
    sys.exit(1)

if __name__ == "__main__":
    sys.exit(main())
""",
    "tests/conftest.py": "import pytest\n\n@pytest.fixture\ndef two():\n    return 2\n",
    "tests/test_app.py": "import unittest\nimport pytest\n\ndef test_a(two):\n    assert two == 2\n",
    "pyproject.toml": "[tool.pytest.ini_options]\naddopts = '-ra --strict-markers'\n",
    "broken.py": "def (:\n",
    "helper.py": "setting = None\n",
}


@pytest.fixture
def scan(bench: Bench, write_tree: Callable[..., Any]) -> Callable[[dict[str, str]], tuple[Finding, ...]]:
    def run(files: dict[str, str]) -> tuple[Finding, ...]:
        spec = Spec(title="t", request="r", engine="rules", criteria=())
        change = Change(spec, Version(write_tree(files), NO_DEPENDENCIES), None)
        return asyncio.run(tampering(bench, change)).findings

    return run


def test_every_trace_is_named_with_its_place(scan: Any) -> None:
    files = {
        (name if len(cases) == 1 else f"{number}/{name}"): source
        for name, cases in TRACES.items()
        for number, (source, _, _) in enumerate(cases)
    }
    wanted = {
        (name if len(cases) == 1 else f"{number}/{name}", line, trace)
        for name, cases in TRACES.items()
        for number, (_, line, trace) in enumerate(cases)
    }

    assert wanted - {(each.path, each.line, each.message) for each in scan(files)} == set()


def test_honest_code_leaves_no_trace(scan: Any) -> None:
    assert scan(HONEST) == ()


def test_a_file_that_is_nested_without_end_hides_nothing_in_others(scan: Any) -> None:
    deep = {"deep.py": "x" + ".y" * 900 + " = 1\n", "deeper.py": "(" * 5000 + ")" * 5000 + "\n"}

    assert [each.path for each in scan({**deep, "late.py": "import os\nos.abort()\n"})][-1:] == ["late.py"]


def test_what_was_there_before_is_no_trace(judge: Callable[..., Any], project: Any) -> None:
    old = {"app.py": "import sys\ndef f(): return 1\n", "conftest.py": "collect_ignore = ['x']\n"}
    tests = {"tests/test_app.py": "from app import f\ndef test_f(): assert f() == 1\n"}
    spec = Spec(title="t", request="r", engine="rules", criteria=(OWN_TESTS,))
    base = project.commit(old | tests)

    told = judge(spec, project.commit(old | tests | {"more.py": "import atexit\natexit.register(print)\n"}), base)
    assert told.report.verdict == "PASS"
    assert told.check("tampering").findings == ()
    assert "more.py:2 runs code when the process ends" in told.check("tampering").evidence

    charged = judge(spec, project.commit(old | tests | {"app.py": "import atexit\natexit.register(print)\n"}), base)
    assert charged.report.verdict == "FAIL"
    assert [each.path for each in charged.check("tampering").findings] == ["app.py"]


def test_while_a_trace_is_only_told_it_is_said_what_it_is_worth(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("import json\n\njson.dumps = str\n")
    spec = Spec(title="t", request="r", engine="rules", criteria=(OWN_TESTS,))
    change = Change(spec, Version(Tree(tmp_path, ("a.py",)), NO_DEPENDENCIES), None)

    judged = asyncio.run(tampering(bench, change))

    assert (judged.verdict, len(judged.findings)) == ("pass", 1)
    assert judged.note == "1 found, which counts where something fails"


def test_traces_are_worth_something_only_beside_a_failure() -> None:
    trace = Finding(check="tampering", message="changes json.dumps", path="a.py", line=3)
    check = CheckResult(
        name="tampering", verdict="pass", grade="verified_io", evidence="1 new", duration_seconds=1, findings=(trace,)
    )

    assert (weighed(check, "FAIL").verdict, weighed(check, "FAIL").findings) == ("fail", (trace,))
    for verdict in ("PASS", "ENVIRONMENT"):
        assert (weighed(check, verdict).verdict, weighed(check, verdict).findings) == ("pass", ())
        assert weighed(check, verdict).evidence == "1 new, not charged: a.py:3 changes json.dumps"
