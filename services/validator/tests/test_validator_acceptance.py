"""Acceptance tests behind the pipe: nothing that a candidate does can turn a refuted criterion into a shown one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from worksite.common.messages import Criterion, Harness, TestFile
from worksite.validator.acceptance.broker import examine
from worksite.validator.bench import Bench, Version
from worksite.validator.checks.result import CannotJudge
from worksite.validator.checks.spec_tests import ACCEPTANCE, judge_suite
from worksite.validator.domain.cases import Case, Suite
from worksite.validator.domain.judgement import judge_criterion
from worksite.validator.environment import NO_DEPENDENCIES
from worksite.validator.judge import merged

APP = """
import json

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body = (await receive())["body"]
    numbers = json.loads(body) if body else {"a": 0, "b": 0}
    status, answer = answer_to(scope, numbers)
    await send({"type": "http.response.start", "status": status, "headers": [(b"x-Kind", b"sum"), (b"x-kind", b"2")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
"""
GOOD = APP + "\ndef answer_to(scope, n):\n    return 200, {'sum': n['a'] + n['b']}\n"
BAD = APP + "\ndef answer_to(scope, n):\n    return 200, {'sum': n['a'] - n['b']}\n"
TEST = """
import random

def test_adds(app):
    a, b = (random.randrange(1, 10**9) for _ in range(2))
    response = app.post("/add", json={"a": a, "b": b})
    assert response.status == 200
    assert response.json() == {"sum": a + b}
"""
CASE = "acceptance/test_calc.py::test_adds"
HARNESS = Harness(target="calc:app", env={"SECRET": "{random}"})

Examine = Callable[..., Suite]


@pytest.fixture
def run(examine_project: Examine) -> Examine:
    """Examine a project of these files by one acceptance test module."""

    def run_(files: dict[str, str], test: str = TEST, harness: Harness | None = HARNESS) -> Suite:
        return examine_project(files, test, harness)

    return run_


def test_an_honest_good_candidate_is_shown_and_its_exchanges_are_counted(run: Examine) -> None:
    suite = run({"src/calc.py": GOOD})

    assert suite.trouble is None
    assert (suite.cases[CASE].outcome, suite.cases[CASE].exchanges) == ("passed", 2)


def test_an_honest_bad_candidate_is_refuted_with_the_assertion(run: Examine) -> None:
    case = run({"src/calc.py": BAD}).cases[CASE]

    assert case.outcome == "failed"
    assert "assert response.json() ==" in case.text


def test_a_refutation_quotes_the_candidates_error_output(run: Examine) -> None:
    app = APP + "\ndef answer_to(scope, n): raise KeyError('a hint for whoever mends it')\n"

    assert "KeyError: 'a hint for whoever mends it'" in run({"calc.py": app}).cases[CASE].text


ESCAPES = """
import os
def everywhere(line):
    for fd in range(3, 64):
        try: os.write(fd, line)
        except OSError: pass
"""
ATTACKS = {
    "exit 0 at import": {"calc.py": "import os\nos._exit(0)\n"},
    "sys.exit at import": {"calc.py": "import sys\nsys.exit(0)\n"},
    "exit 0 in a call": {"calc.py": APP + "\nimport os\ndef answer_to(scope, n): os._exit(0)\n"},
    "a conftest that forges": {
        "calc.py": BAD,
        "conftest.py": "def pytest_runtest_logreport(report): report.outcome = 'passed'\n",
        "acceptance/conftest.py": "def pytest_runtest_logreport(report): report.outcome = 'passed'\n",
    },
    "addopts loads an evil plugin": {"calc.py": BAD, "pytest.ini": "[pytest]\naddopts = -p evil\n", "evil.py": ""},
    "a fake junit file": {"calc.py": BAD + "import pathlib\npathlib.Path('junit.xml').write_text('<ok/>')\n"},
    "its own acceptance test": {"calc.py": BAD, "acceptance/test_calc.py": "def test_adds(): pass\n"},
    "shadows of pytest and json": {
        "calc.py": BAD,
        "pytest.py": "",
        "json.py": "def dumps(x): return '{}'\nloads = eval\n",
    },
    "patched reports": {"calc.py": BAD + "import unittest\nunittest.TestCase.failureException = ()\n"},
    "a verdict on every pipe": {
        "calc.py": BAD
        + ESCAPES
        + 'everywhere(b\'{"op": "case", "id": "'
        + CASE
        + '", "outcome": "passed", "text": "", "seconds": 0}\\n\')\n'
    },
    "an end on every pipe in a call": {
        "calc.py": APP
        + ESCAPES
        + '\ndef answer_to(scope, n):\n    everywhere(b\'{"op": "end", "code": 0}\\n\')\n    return 200, {\'sum\': 0}\n'
    },
    "an answer that is true for everything": {
        "calc.py": APP + "\ndef answer_to(scope, n): return 200, {'sum': True}\n"
    },
    "a status that is not a number": {"calc.py": APP + "\ndef answer_to(scope, n): return 'fine', {}\n"},
    "a search for the inputs in memory": {
        "calc.py": APP + "\nimport gc\ndef answer_to(scope, n):\n"
        "    found = [o for o in gc.get_objects() if isinstance(o, dict) and 'sum' in o]\n"
        "    return 200, found[0] if found else {'sum': n['a'] ^ n['b'] | 1}\n"
    },
    "an endless line": {"calc.py": APP + "\ndef answer_to(scope, n): return 200, 'x' * (20 << 20)\n"},
    "garbage instead of an answer": {"calc.py": BAD + ESCAPES + "everywhere(b'[1, 2' * 1000 + b'\\n')\n"},
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_turns_a_bad_candidate_into_a_shown_criterion(run: Examine, attack: str) -> None:
    suite = run(ATTACKS[attack])

    assert suite.trouble is None
    assert suite.cases[CASE].outcome == "failed"


def test_a_candidate_that_dies_is_named_with_its_last_words(run: Examine) -> None:
    text = run({"calc.py": "raise ValueError('no secret key')\n"}).cases[CASE].text

    assert "the application did not start: ValueError: no secret key" in text


def test_each_launch_has_its_own_files_and_environment_and_a_restart_keeps_them(run: Examine) -> None:
    app = (
        APP
        + """
import os, pathlib
def answer_to(scope, n):
    file = pathlib.Path("count")
    file.write_text(str(int(file.read_text() if file.exists() else 0) + 1))
    return 200, [file.read_text(), os.environ["SECRET"], os.environ.get("EXTRA"), os.getpid()]
"""
    )
    test = """
def test_it(launch):
    first, second = launch(env={"EXTRA": 7}), launch()
    a, b = first.get("/").json(), first.get("/").json()
    assert (a[0], b[0], a[3]) == ("1", "2", b[3])
    assert len(a[1]) == 64 and a[1] == second.get("/").json()[1]
    first.restart()
    assert first.get("/").json()[:3] == ["3", a[1], "7"]
    assert second.get("/").json()[:3] == ["2", a[1], None]
"""
    case = run({"calc.py": app}, test).cases["acceptance/test_calc.py::test_it"]

    assert case.outcome == "passed", case.text
    assert case.exchanges == 7


def test_requests_carry_query_headers_and_raw_bodies_and_run_at_once(run: Examine) -> None:
    app = """
import asyncio, base64, json
together = 0
async def app(scope, receive, send):
    global together
    if scope["type"] == "lifespan":
        return
    together += 1
    while together < 2 and scope["path"] == "/together":
        await asyncio.sleep(0.01)
    body = (await receive())["body"]
    heard = {name.decode(): value.decode() for name, value in scope["headers"]}
    answer = [scope["method"], scope["path"], scope["query_string"].decode(), heard, base64.b64encode(body).decode()]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"X-A", b"1"), (b"x-a", b"2")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
"""
    test = r"""
import base64
def test_it(app):
    answer = app.put("/a%20b?x=1", params={"y": [2, 3]}, headers={"X-Token": "t"}, content=b"\x00\xff")
    method, path, query, heard, body = answer.json()
    assert (method, path, query, base64.b64decode(body)) == ("PUT", "/a b", "x=1&y=2&y=3", b"\x00\xff")
    assert (heard["x-token"], heard["content-length"]) == ("t", "2")
    assert answer.headers["X-A"] == "1, 2" and "x-a" in answer.headers and answer.headers.get("nope") is None
    one, two = app.concurrently([("GET", "/together"), ("GET", "/together", {"params": {"z": 1}})])
    assert (one.status, two.json()[2]) == (200, "z=1")
"""
    case = run({"calc.py": app}, test).cases["acceptance/test_calc.py::test_it"]

    assert case.outcome == "passed", case.text


def test_lifespan_factories_and_import_roots_are_served(run: Examine) -> None:
    app = """
import json
def make():
    started = []
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["up"] = 1
            await send({"type": "lifespan.startup.complete"})
            await receive()
            open("stopped", "w").close()
            await send({"type": "lifespan.shutdown.complete"})
            return
        import os
        await send({"type": "http.response.start", "status": 200})
        answer = [scope["state"]["up"], os.path.exists("stopped")]
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
    return app
"""
    test = """
def test_it(app):
    assert app.get("/").json() == [1, False]
    app.restart()
    assert app.get("/").json() == [1, True]
"""
    harness = Harness(target="deep.calc:make", factory=True, import_roots=("lib", "../../../../etc"))

    case = run({"lib/deep/calc.py": app}, test, harness).cases["acceptance/test_calc.py::test_it"]

    assert case.outcome == "passed", case.text


def test_an_exception_is_a_500_as_on_a_real_server(run: Examine) -> None:
    test = "def test_it(app):\n    assert app.get('/').status == 500\n    assert app.get('/').status == 500\n"
    app = APP + "\ndef answer_to(scope, n): raise KeyError('inner detail')\n"

    assert run({"calc.py": app}, test).cases["acceptance/test_calc.py::test_it"].outcome == "passed"


def test_a_spec_without_a_harness_shows_nothing(run: Examine) -> None:
    case = run({"calc.py": GOOD}, harness=None).cases[CASE]

    assert case.outcome == "failed"
    assert "does not say how to start" in case.text


def test_skipped_tests_and_broken_modules_are_reported_as_such(run: Examine) -> None:
    skipping = "import pytest\ndef test_adds(app): pytest.skip('later')\n"

    assert run({"calc.py": GOOD}, skipping).cases[CASE].outcome == "skipped"
    [broken] = run({"calc.py": GOOD}, "import nothing_of_this_name\n").cases.values()
    assert broken.outcome == "failed"


def test_an_examiner_that_dies_is_trouble_and_not_a_pass(run: Examine) -> None:
    suite = run({"calc.py": GOOD}, "import os\ndef test_adds(app): os._exit(0)\n")

    assert suite.trouble is not None
    assert suite.cases == {}


BROKEN = {
    "a hook that raises": (TEST, "def pytest_runtest_logfinish(): raise RuntimeError('late')\n"),
    "a test that interrupts": (TEST + "\ndef test_more():\n    raise KeyboardInterrupt\n", ""),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_pytest_that_breaks_off_without_a_failed_case_leaves_a_doubt(bench: Bench, write_tree: Any, how: str) -> None:
    module, helpers = BROKEN[how]
    tests = [TestFile(path="acceptance/test_calc.py", content=module)]
    tests += [TestFile(path="acceptance/conftest.py", content=helpers)]
    version = Version(write_tree({"src/calc.py": GOOD}), NO_DEPENDENCIES)

    suite = asyncio.run(examine(bench, version, HARNESS, tuple(tests)))

    assert (suite.trouble, suite.having("failed")) == (None, ())
    assert "exit code" in (suite.doubt or "")
    criterion = Criterion(id="adds", statement="It adds.", grade="verified_io", test=CASE)
    assert judge_criterion(criterion, {"verified_io": suite}, {}).verdict == "environment"
    with pytest.raises(CannotJudge, match="pytest broke off by itself"):
        judge_suite(ACCEPTANCE, suite)


def test_a_doubt_about_one_module_hides_no_refutation_by_another() -> None:
    refuted = Suite({CASE: Case(CASE, "failed", "wrong sum")})

    assert judge_suite(ACCEPTANCE, merged([Suite(doubt="broke off"), refuted])).verdict == "fail"


def test_the_examiner_cannot_read_the_candidate_nor_the_candidate_the_tests(run: Examine) -> None:
    """Each side lists what it can see of the sandbox's root; the other's workspace is not among it."""
    app = (
        APP
        + """
import pathlib
def answer_to(scope, n):
    root = pathlib.Path.cwd().parent.parent
    seen = []
    for name in root.glob("workspace-*/**/test_calc.py"):
        seen.append(str(name))
    return 200, seen
"""
    )
    test = """
import pathlib
def test_it(app):
    assert app.get("/").json() == []
    assert list(pathlib.Path(__file__).parents[2].glob("workspace-*/project/calc.py")) == []
"""
    assert run({"calc.py": app}, test).cases["acceptance/test_calc.py::test_it"].outcome == "passed"
