"""The project's own tests under the trusted driver: what it catches, and what it is known not to catch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from worksite.common.messages import TestFile
from worksite.validator.bench import Bench, Version
from worksite.validator.domain.cases import Suite
from worksite.validator.environment import NO_DEPENDENCIES, CandidateEnvironment
from worksite.validator.selfreport.run import run_project_tests, run_spec_tests
from worksite.validator.tree import Tree

GOOD = "def add(a, b):\n    return a + b\n"
BAD = "def add(a, b):\n    return a - b\n"
TESTS = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
CASE = "tests/test_calc.py::test_add"

Run = Callable[..., Suite]


@pytest.fixture
def run(bench: Bench, tmp_path: Path) -> Run:
    """Run a project of these files."""

    def run_(**files: str) -> Suite:
        tree = write_tree(tmp_path / "project", files)
        return asyncio.run(run_project_tests(bench, Version(tree, NO_DEPENDENCIES)))

    return run_


def write_tree(directory: Path, files: dict[str, str]) -> Tree:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Tree(directory, tuple(sorted(files)))


def test_an_honest_good_project_passes(run: Run) -> None:
    suite = run(**{"calc.py": GOOD, "tests/test_calc.py": TESTS})

    assert suite.trouble is None
    assert {key: case.outcome for key, case in suite.cases.items()} == {CASE: "passed"}


def test_an_honest_bad_project_fails_with_its_assertion(run: Run) -> None:
    suite = run(**{"calc.py": BAD, "tests/test_calc.py": TESTS})

    assert suite.trouble is None
    assert suite.cases[CASE].outcome == "failed"
    assert "assert -1 == 5" in suite.cases[CASE].text


def test_what_a_failure_says_holds_no_path_of_the_machine_that_ran_it(run: Run, bench: Bench) -> None:
    tests = "import calc\n\n\ndef test_add():\n    raise ValueError(calc.__file__)\n"
    broken = "import nothing_of_that_name\n"
    suite = run(**{"calc.py": GOOD, "tests/test_calc.py": tests, "tests/test_broken.py": broken})

    texts = [case.text for case in suite.having("failed")]
    assert len(texts) == 2
    assert any("calc.py" in text for text in texts)
    assert not [text for text in texts if "workspace-" in text]


def test_skips_expected_failures_and_broken_modules_are_told_apart(run: Run) -> None:
    tests = """
import pytest
def test_skipped(): pytest.skip("no")
@pytest.mark.xfail
def test_xfailed(): assert False
@pytest.fixture
def broken(): raise RuntimeError("set-up")
def test_broken_fixture(broken): pass
"""
    suite = run(**{"tests/test_a.py": tests, "tests/test_b.py": "import nothing_of_this_name\n"})

    assert suite.trouble is None
    assert {key.split("::")[-1]: case.outcome for key, case in suite.cases.items()} == {
        "test_skipped": "skipped",
        "test_xfailed": "skipped",
        "test_broken_fixture": "failed",
        "tests/test_b.py": "failed",
    }


FINE = {"calc.py": GOOD, "tests/test_calc.py": TESTS}
SKIPPING = {
    "a mark on the module": "pytestmark = pytest.mark.skipif(True, reason='no postgres')\n",
    "a fixture": "@pytest.fixture(autouse=True)\ndef docker(): pytest.skip('no docker')\n",
    "an expected failure": "pytestmark = pytest.mark.xfail(reason='later')\n",
}


@pytest.mark.parametrize("how", SKIPPING)
def test_a_module_that_skips_its_tests_is_believed(run: Run, how: str) -> None:
    suite = run(**FINE, **{"tests/test_pg.py": f"import pytest\n{SKIPPING[how]}def test_pg(): assert 0\n"})

    assert (suite.trouble, suite.caveat) == (None, None)
    assert suite.cases["tests/test_pg.py::test_pg"].outcome == "skipped"


def test_planted_tests_leave_shared_fixtures_alone(run: Run) -> None:
    module = """
import pytest
@pytest.fixture(scope="module")
def store(): return []
@pytest.fixture(scope="class")
def kept(): return []
def test_create(store): store.append(1)
def test_read(store): assert store == [1]
class TestKept:
    def test_create(self, kept): kept.append(1)
    def test_read(self, kept): assert kept == [1]
def test_again(store): assert store == [1]
"""
    suite = run(**{f"tests/test_{name}.py": module for name in "abcd"})

    assert (suite.trouble, suite.having("failed")) == (None, ())


def test_a_failure_that_no_report_could_hold_is_reported(run: Run) -> None:
    suite = run(**{"tests/test_a.py": "def test_a(): raise AssertionError('\\ud800')\n"})

    assert suite.cases["tests/test_a.py::test_a"].outcome == "failed"
    assert suite.cases["tests/test_a.py::test_a"].text.encode()


def test_no_package_of_the_candidate_stands_in_for_the_driver(bench: Bench, tmp_path: Path) -> None:
    async def attacked() -> Suite:
        async with bench.sandbox.new_workspace() as packages:
            (packages / "driver.py").write_text("import os\ndef main(): os._exit(0)\n")
            packages.chmod(0o755)
            tree = write_tree(tmp_path / "project", FINE)
            return await run_project_tests(bench, Version(tree, CandidateEnvironment(packages, None, None)))

    suite = asyncio.run(attacked())

    assert (suite.trouble, len(suite.having("passed"))) == (None, 1)


def test_a_project_may_have_a_module_named_like_the_driver(run: Run) -> None:
    suite = run(**{"driver.py": "STEER = 1\n", "tests/test_a.py": "import driver\ndef test_a(): assert driver.STEER\n"})

    assert (suite.trouble, suite.having("failed")) == (None, ())


def test_tests_may_write_into_their_project(run: Run) -> None:
    suite = run(**{"tests/test_a.py": "import pathlib\ndef test_a(): pathlib.Path('made').write_text('x')\n"})

    assert suite.having("failed") == ()


def test_a_project_without_tests_has_no_cases(run: Run) -> None:
    assert run(**{"calc.py": GOOD}).cases == {}


def test_conftest_fixtures_settings_and_import_roots_of_the_project_work(run: Run) -> None:
    suite = run(
        **{
            "pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['checks']\npython_files = ['check_*.py']\n"
            "pythonpath = ['lib']\nmarkers = ['slow: takes long']\naddopts = '--strict-markers -k nothing'\n",
            "lib/calc.py": GOOD,
            "checks/conftest.py": "import pytest\n@pytest.fixture\ndef two(): return 2\n",
            "checks/check_calc.py": "import calc, pytest\n@pytest.mark.slow\n"
            "def test_a(two): assert calc.add(two, 2) == 4\n",
            "tests/test_not_asked_for.py": "def test_x(): assert False\n",
        }
    )

    assert suite.trouble is None
    assert {key: case.outcome for key, case in suite.cases.items()} == {"checks/check_calc.py::test_a": "passed"}


def test_tests_of_the_spec_run_where_the_candidate_cannot_write(bench: Bench, tmp_path: Path) -> None:
    grab = "import pathlib, sys\nfor p in sys.path: print(p)\n"
    tree = write_tree(tmp_path / "project", {"src/calc.py": GOOD + grab})
    source = """
import pathlib, calc, pytest
def test_add(): assert calc.add(1, 1) == 2
def test_this_file_is_read_only():
    with pytest.raises(OSError): pathlib.Path(__file__).write_text("")
"""
    suite = asyncio.run(
        run_spec_tests(bench, Version(tree, NO_DEPENDENCIES), (TestFile(path="unit/test_a.py", content=source),))
    )

    assert suite.trouble is None
    assert [case.outcome for case in suite.cases.values()] == ["passed", "passed"]


SHADOWS = [
    "pytest.py", "pytest/__init__.py", "_pytest/__init__.py", "pluggy.py", "src/pluggy/__init__.py", "src/iniconfig.py",
    "sitecustomize.py", "src/usercustomize.py", "json.py", "src/unittest/__init__.py",
]  # fmt: skip


def test_the_tests_run_under_the_real_pytest_whatever_the_candidate_calls_its_modules(run: Run) -> None:
    suite = run(**FINE, **dict.fromkeys(SHADOWS, "import os\nos._exit(0)\n"))

    assert (suite.trouble, len(suite.having("passed"))) == (None, 1)


FORGE_REPORT = """
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    result = yield
    report = result.get_result()
    report.outcome = "passed"
    report.longrepr = None
"""
PATCH_TEST_REPORT = """
import _pytest.reports as r
genuine = r.TestReport.from_item_and_call.__func__
def forged(cls, item, call):
    call.excinfo = None
    return genuine(cls, item, call)
r.TestReport.from_item_and_call = classmethod(forged)
"""
PATCH_RUNTEST = """
import _pytest.python as p
p.Function.runtest = lambda self: None
"""
FORGE_RECORDS = """
import gc, hashlib, hmac, json, os
records = next(o for o in gc.get_objects() if type(o).__name__ == "Records")
case = {"id": "tests/test_calc.py::test_add", "outcome": "passed", "text": "", "seconds": 0.1}
records.write({"kind": "collected", "ids": [case["id"]]})
records.write({"kind": "case", **case})
records.write({"kind": "end", "code": 0})
os._exit(0)
"""
FAKE_JUNIT = """
import atexit, pathlib
report = '<testsuite tests="1" failures="0"><testcase name="test_add"/></testsuite>'
atexit.register(lambda: pathlib.Path("junit.xml").write_text(report))
print("1 passed in 0.01s")
"""
CAUGHT = {
    "a conftest hook forges reports": {"tests/conftest.py": FORGE_REPORT},
    "addopts loads an evil plugin": {"pytest.ini": "[pytest]\naddopts = -p evil\n", "evil.py": FORGE_REPORT},
    "conftest names an evil plugin": {"conftest.py": "pytest_plugins = ['evil']\n", "evil.py": FORGE_REPORT},
    "exit 0 at import": {"calc.py": "import os\nos._exit(0)\n"},
    "exit 0 in a call": {"calc.py": "import os\ndef add(a, b): os._exit(0)\n"},
    "sys.exit at import": {"calc.py": "import sys\nsys.exit(0)\n"},
    "a fake junit file at exit": {"calc.py": BAD + FAKE_JUNIT},
    "a shadow of pytest": {"pytest.py": "raise SystemExit(0)\n"},
    "a shadow of json": {"json.py": "import os\nos._exit(0)\n"},
    "TestReport is patched": {"calc.py": BAD + PATCH_TEST_REPORT},
    "Function.runtest is patched": {"calc.py": BAD + PATCH_RUNTEST},
    "the key is found in memory and records are forged": {"calc.py": BAD + FORGE_RECORDS},
    "tests are deselected": {"conftest.py": "def pytest_collection_modifyitems(items): items.clear()\n"},
    "failures are turned into skips": {
        "tests/test_more.py": "def test_more(): pass\n",
        "tests/conftest.py": FORGE_REPORT.replace('"passed"', '"skipped"')
        .replace("None", '("f", 1, "s")')
        .replace("    report.outcome", "    if report.failed: report.outcome"),
    },
    "something else writes to the result pipe": {"calc.py": BAD + "import os\nos.write(3, b'{}\\n')\n"},
}


@pytest.mark.parametrize("trick", CAUGHT)
def test_a_bad_project_that_cheats_is_caught(run: Run, trick: str) -> None:
    suite = run(**{"calc.py": BAD, "tests/test_calc.py": TESTS, **CAUGHT[trick]})

    assert suite.trouble or CASE not in suite.cases or suite.cases[CASE].outcome == "failed"
    assert not suite.having("passed")


NOT_CAUGHT = {
    "a patch that spares the planted tests": """
import _pytest.python as p
genuine = p.Function.runtest
p.Function.runtest = lambda self: None if self.name == "test_add" else genuine(self)
""",
    "a result that equals everything": """
class Agreeable:
    def __eq__(self, other): return True
def add(a, b): return Agreeable()
""",
}


@pytest.mark.parametrize("trick", NOT_CAUGHT)
def test_a_targeted_deceit_is_a_known_limit_of_self_reported(run: Run, trick: str) -> None:
    """Why acceptance criteria are `verified_io`: the README states this limit, and this test keeps it honest."""
    suite = run(**{"calc.py": BAD + NOT_CAUGHT[trick], "tests/test_calc.py": TESTS})

    assert suite.trouble is None
    assert suite.cases[CASE].outcome == "passed"
