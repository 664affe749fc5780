"""Which files a declared command line judges by."""

from __future__ import annotations

import pytest
from worksite.validator.domain.runners import is_named

SHELL_LINES = (
    "check.sh",
    "sh check.sh",
    "chmod +x check.sh; ./check.sh && true",
    "set -e; . ./check.sh",
    "bash -eu check.sh unit",
    "sh <check.sh",
    "if ! sh check.sh; then exit 1; fi",
    "test $(/bin/sh check.sh) = 5",
)


@pytest.mark.parametrize("line", SHELL_LINES)
def test_a_script_that_a_shells_line_runs_is_one_that_the_command_judges_by(line: str) -> None:
    assert is_named(("sh", "-c", line), "check.sh")


@pytest.mark.parametrize("command", [("sh", "check.sh"), ("./check.sh",), ("cc", "check.sh")])
def test_every_word_of_a_command_line_itself_names_a_file(command: tuple[str, ...]) -> None:
    assert is_named(command, "check.sh")


@pytest.mark.parametrize("line", ["cc -o calc calc.c && sh tests/run.sh", "cat calc.c", "", "sh -c 'x", "&& ; ("])
def test_what_a_shells_line_only_compiles_or_reads_is_not_taken_from_the_base(line: str) -> None:
    assert not is_named(("sh", "-c", line), "calc.c")
