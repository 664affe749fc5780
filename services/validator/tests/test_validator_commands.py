"""Command lines of the candidate's behind the pipe, in any language."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from worksite.validator.domain.cases import Case, Suite
from worksite.validator.sandbox import LauncherError

Examine = Callable[..., Suite]
CASE = "acceptance/test_calc.py::test_it"


@pytest.fixture
def case(examine_project: Examine) -> Callable[..., Case]:
    def run(files: dict[str, str], body: str) -> Case:
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        suite = examine_project(files, f"import pytest\n\ndef test_it(run, fresh):\n{lines}\n")
        assert suite.trouble is None
        return suite.cases[CASE]

    return run


def test_arguments_input_output_exit_code_and_files_are_a_programs_own(case: Callable[..., Case]) -> None:
    program = """
import os, pathlib, sys
import shared
kept = pathlib.Path("kept")
kept.write_text((kept.read_text() if kept.exists() else "") + sys.argv[1])
print(kept.read_text(), sys.stdin.read(), os.environ.get("EXTRA"), shared.WORD, sep="|")
print("trouble", file=sys.stderr)
sys.exit(3)
"""
    test = """
word = fresh.word()
done = run("python", "tool.py", word, stdin="in", env={"EXTRA": "more"})
assert (done.code, done.out, done.err) == (3, f"{word}|in|more|here\\n", "trouble\\n")
assert run("python", "tool.py", "x").out == f"{word}x||None|here\\n"
assert run("python", "-m", "tool", "y", stdin=b"\\xff").content.startswith(word.encode() + b"xy|")
assert run("sh", "-c", "kill -9 $$").code == -9
"""
    result = case({"tool.py": program, "src/shared.py": "WORD = 'here'\n"}, test)

    assert result.outcome == "passed", result.text
    assert result.exchanges == 3  # `sh -c 'kill -9 $$'` has nothing to do with the project


def test_a_shell_program_is_judged_like_any_other(case: Callable[..., Case]) -> None:
    test = """
a, b = 123456, 654321
assert run("sh", "add.sh", a, b).out.strip() == str(a + b)
"""
    assert case({"add.sh": "echo $(($1 + $2))\n"}, test).outcome == "passed"
    assert "assert '-530865' == '777777'" in case({"add.sh": "echo $(($1 - $2))\n"}, test).text


def test_a_program_that_is_missing_or_hangs_speaks_against_the_candidate(case: Callable[..., Case]) -> None:
    assert "./tool cannot be run" in case({"a.py": ""}, "run('./tool')").text
    assert "cpu" not in (text := case({"a.py": "print('x' * (4 << 20))"}, "run('python', 'a.py')").text)
    assert "was stopped by its limits (output)" in text


def test_a_command_line_that_runs_nothing_of_the_project_is_no_exchange_with_it(case: Callable[..., Case]) -> None:
    result = case({"tool.py": ""}, "assert run('true').code == 0\nassert run('sh', '-c', 'echo tool').out == 'tool\\n'")

    assert (result.outcome, result.exchanges) == ("passed", 0)


def test_an_import_behind_a_comma_is_an_exchange_with_the_project(case: Callable[..., Case]) -> None:
    lines = "assert run('python', '-c', 'import json, calc; print(calc.ONE)').out == '1\\n'\nrun('echo', 'calc.py')"
    result = case({"calc.py": "ONE = 1\n"}, lines)

    assert (result.outcome, result.exchanges) == ("passed", 1), result.text


def test_a_run_without_a_program_says_what_it_needs(case: Callable[..., Case]) -> None:
    result = case({"tool.py": ""}, "run()")

    assert result.outcome == "failed"
    assert "run() needs a program" in result.text


def test_an_interpreter_that_this_machine_lacks_says_nothing_about_the_candidate(examine_project: Examine) -> None:
    with pytest.raises(LauncherError):
        examine_project({"a.cbl": ""}, "def test_it(run):\n    run('no-such-interpreter', 'a.cbl')\n")


def test_the_report_of_an_exit_code_cannot_be_forged(case: Callable[..., Case]) -> None:
    program = "import atexit, os, sys\natexit.register(lambda: os._exit(0))\nsys.exit(1)\n"

    assert case({"tool.py": program}, "assert run('python', 'tool.py').out == 'right\\n'").outcome == "failed"
