"""One declared command on a change: what excuses it, and what may not stand in for what it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from worksite.common.messages import CheckCommand, Spec
from worksite.validator.bench import Bench, Change, Version
from worksite.validator.checks.commands import command
from worksite.validator.checks.result import CannotJudge, Judged
from worksite.validator.domain.declaration import Declaration
from worksite.validator.environment import CandidateEnvironment
from worksite.validator.tree import Tree

pytestmark = pytest.mark.timeout(300)  # a guard against hanging, not a measure
Files = dict[str, str]
Check = Callable[..., Judged]


@pytest.fixture
def check(bench: Bench, tmp_path: Path) -> Check:
    """What a command of the project's says of a change, with a package `lib` installed for it."""

    def tree(name: str, files: Files) -> Tree:
        for path, content in files.items():
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_text(content)
        return Tree(tmp_path / name, tuple(sorted(files)))

    async def checked(declared: CheckCommand, base: Files, head: Files) -> Judged:
        async with bench.sandbox.new_workspace() as packages:
            (packages / "lib.py").write_text("RIGHT = 5\n")
            packages.chmod(0o755)
            version = Version(tree("head", head), CandidateEnvironment(packages, None, None))
            spec = Spec(title="t", request="r", engine="rules", criteria=())
            change = Change(spec, version, tree("base", base), Declaration(commands=(declared,)))
            return await command(bench, change, declared)

    def run(argv: tuple[str, ...], base: Files, head: Files, seconds: int = 120) -> Judged:
        declared = CheckCommand(name="unit", command=argv, seconds=seconds, tests=("tests",))
        return asyncio.run(checked(declared, base, head))

    return run


def test_what_a_command_says_holds_no_path_of_the_machine_that_ran_it(check: Check) -> None:
    judged = check(
        ("sh", "tests/run.sh"), {"tests/run.sh": "true\n"}, {"tests/run.sh": "echo $PWD/calc.py is wrong\nexit 1\n"}
    )

    assert "calc.py is wrong" in judged.note
    assert "workspace-" not in judged.note


SLOW_AT_BASE = "test ! -f slow || sleep 60\nexit 1\n"


def test_a_command_that_ran_out_of_time_at_base_excuses_nothing_and_cannot_be_judged(check: Check) -> None:
    base = {"tests/run.sh": SLOW_AT_BASE, "slow": ""}

    with pytest.raises(CannotJudge, match=r"ended with exit code 1\nIts time was over at base"):
        check(("sh", "tests/run.sh"), base, {"tests/run.sh": SLOW_AT_BASE}, seconds=2)


def test_a_command_that_failed_in_time_at_base_is_excused(check: Check) -> None:
    red = {"tests/run.sh": "exit 1\n"}

    assert check(("sh", "tests/run.sh"), red, red | {"README": ""}).verdict == "not_applicable"


TESTS = """
import unittest
from calc import add
try:
    from lib import RIGHT
except ImportError:
    RIGHT = 5  # at base, where nothing is installed

class TestIt(unittest.TestCase):
    def test_it(self):
        self.assertEqual(add(2, 3), RIGHT)
"""
SCRIPT = "import unittest\nunittest.main(module=None, argv=['x', 'discover', 'tests'])\n"
RIGHT, WRONG = "def add(a, b): return a + b\n", "def add(a, b): return a - b\n"
BASE = {"calc.py": RIGHT, "tests/test_calc.py": TESTS, "ci/check.py": SCRIPT}
MODULE = ("python", "-m", "unittest", "discover", "tests")
SHELL = ("sh", "-c", "python3 -m unittest discover tests")
SHADOWS = [
    (MODULE, "unittest.py", "import os\nos._exit(0)\n"),
    (MODULE, "src/unittest/__init__.py", "import os\nos._exit(0)\n"),
    (MODULE, "argparse.py", "import os\nos._exit(0)\n"),
    (MODULE, "lib.py", "RIGHT = -1\n"),
    (("python", "ci/check.py"), "ci/unittest.py", "import os\nos._exit(0)\n"),
    (SHELL, "sitecustomize.py", "import os\nos._exit(0)\n"),
]


@pytest.mark.parametrize(("argv", "shadow", "content"), SHADOWS)
def test_no_new_module_stands_in_for_what_a_command_would_find_elsewhere(
    check: Check, argv: tuple[str, ...], shadow: str, content: str
) -> None:
    judged = check(argv, BASE, BASE | {"calc.py": WRONG, shadow: content})

    assert judged.verdict == "fail"
    assert f"without {shadow}, which the base lacks" in judged.note


@pytest.mark.parametrize("argv", [MODULE, ("python", "ci/check.py"), SHELL])
def test_other_new_modules_are_the_changes_own(check: Check, argv: tuple[str, ...]) -> None:
    head = BASE | {"calc.py": "from sums import add\n", "sums.py": RIGHT, "pkg/queue.py": ""}

    judged = check(argv, BASE, head)

    assert (judged.verdict, judged.note.endswith("ended with exit code 0")) == ("pass", True)
