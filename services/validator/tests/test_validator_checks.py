"""The checks that tools make, and the project's own tests relative to base."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from worksite.common.messages import Spec
from worksite.validator.bench import Bench, Change, Version
from worksite.validator.checks import tool
from worksite.validator.checks.forbidden import forbidden
from worksite.validator.checks.lint import lint
from worksite.validator.checks.project_tests import project_tests
from worksite.validator.checks.result import CannotJudge, Judged, run_check
from worksite.validator.checks.secrets import secrets
from worksite.validator.checks.security import security
from worksite.validator.checks.tool import Scan, Scanner, ToolOverwhelmed, judge_scan, run_tool
from worksite.validator.checks.types import mypy_findings, mypy_settings, types
from worksite.validator.environment import NO_DEPENDENCIES, CandidateEnvironment
from worksite.validator.sandbox import LauncherError, Limits
from worksite.validator.tree import Refused, Tree

Files = dict[str, str]
Make = Callable[..., Change]


@pytest.fixture
def change(tmp_path: Path) -> Make:
    """A change from `base` to `head`, both given as files."""

    def make(head: Files, base: Files | None = None, removed: tuple[str, ...] = ()) -> Change:
        spec = Spec(title="t", request="r", engine="test", criteria=(), removed_tests=removed)
        before = _write(tmp_path / "base", base) if base is not None else None
        return Change(spec, Version(_write(tmp_path / "head", head), NO_DEPENDENCIES), before)

    return make


def _write(directory: Path, files: Files) -> Tree:
    directory.mkdir()
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Tree(directory, tuple(sorted(files)))


def found(judged: Judged) -> list[tuple[str | None, int | None]]:
    return [(finding.path, finding.line) for finding in judged.findings]


def test_lint_charges_new_findings_and_reports_old_ones(bench: Bench, change: Make) -> None:
    rules = {"ruff.toml": "lint.select = ['F']\n"}
    base = {**rules, "pkg/a.py": "import os\n"}
    head = {**rules, "pkg/a.py": "\n\nimport os\n", "pkg/b.py": "import re\n"}

    judged = asyncio.run(lint(bench, change(head, base)))

    assert judged.verdict == "fail"
    assert found(judged) == [("pkg/b.py", 1)]
    assert [(each.path, each.line) for each in judged.preexisting] == [("pkg/a.py", 3)]
    assert judged.note == "1 new, 1 also at base"


def test_lint_obeys_the_projects_configuration(bench: Bench, change: Make) -> None:
    files = {"a.py": "import os\n", "ruff.toml": "[lint]\nignore = ['F401']\n"}

    assert asyncio.run(lint(bench, change(files))).verdict == "pass"


def test_a_project_without_rules_is_searched_for_faults_and_not_for_style(bench: Bench, change: Make) -> None:
    files = {"b.py": "import os\nimport ast, re\nprint(undefined)\n", "pyproject.toml": "[project]\nname = 'a'\n"}

    judged = asyncio.run(lint(bench, change(files)))

    assert [(each.line, each.message.split()[0]) for each in judged.findings] == [(3, "F821")]


def test_lint_with_a_broken_configuration_cannot_be_judged(bench: Bench, change: Make) -> None:
    with pytest.raises(CannotJudge, match="ruff did not do its work"):
        asyncio.run(lint(bench, change({"ruff.toml": "= broken"})))


@pytest.mark.parametrize("rules", [None, "lint.ignore = ['F401']\n", "exclude = ['b.py']\n"])
def test_a_change_is_linted_by_the_rules_of_its_base_and_may_not_change_them(
    bench: Bench, change: Make, rules: str | None
) -> None:
    head = {"b.py": "import os\n"} | ({"ruff.toml": rules} if rules else {})

    judged = asyncio.run(lint(bench, change(head, {"ruff.toml": "line-length = 100\n"})))

    assert [(each.path, each.message.split()[0]) for each in judged.findings] == [
        ("b.py", "F401"),
        ("ruff.toml", "the"),
    ]


def test_rules_in_pyproject_count_and_its_other_sections_may_change(bench: Bench, change: Make) -> None:
    base = {"pyproject.toml": "[tool.ruff]\nextend = 'lint.cfg.toml'\n", "lint.cfg.toml": "[lint]\nselect = ['F']\n"}
    project = "[project]\nname = 'a'\nversion = '1'\n"
    head = {**base, "pyproject.toml": project + base["pyproject.toml"], "lint.cfg.toml": "[lint]\nselect = ['E']\n"}

    judged = asyncio.run(lint(bench, change({**head, "b.py": "import os\n"}, base)))

    assert found(judged) == [("b.py", 1)]


def test_ruff_mends_nothing_and_reads_what_the_project_ignores(bench: Bench, change: Make) -> None:
    files = {"ruff.toml": "fix = true\n", "a.py": "import os\n", "b.py": "import os\n", ".ignore": "b.py\n"}

    assert found(asyncio.run(lint(bench, change(files)))) == [("a.py", 1), ("b.py", 1)]


RISKY = "import subprocess\n\n\ndef run(command):\n    return subprocess.call(command, shell=True)\n"


def test_security_charges_what_bandit_finds_outside_of_tests(bench: Bench, change: Make) -> None:
    files = {"src/a.py": RISKY, "tests/test_a.py": RISKY, ".bandit": "[bandit]\nskips = B602\n"}

    judged = asyncio.run(security(bench, change(files)))

    assert judged.verdict == "fail"
    assert found(judged) == [("src/a.py", 5)]
    assert "B602" in judged.findings[0].message


@pytest.mark.parametrize("path", ["CVSx/a.py", "src/test_core.py", ".github/a.py", "pkg/test/client.py"])
def test_no_name_hides_code_from_bandit(bench: Bench, change: Make, path: str) -> None:
    assert found(asyncio.run(security(bench, change({path: RISKY})))) == [(path, 5)]


@pytest.mark.parametrize("path", ["core_test.py", "src/test_core.py"])
def test_what_pytest_collects_tests_from_is_no_product(bench: Bench, change: Make, path: str) -> None:
    judged = asyncio.run(security(bench, change({path: RISKY + "\n\ndef test_run():\n    run('true')\n"})))

    assert judged.verdict == "pass"


def test_code_that_bandit_cannot_read_is_a_finding(bench: Bench, change: Make) -> None:
    deep = "X = " + " + ".join(["1"] * 3000) + "\n" + RISKY

    judged = asyncio.run(security(bench, change({"a.py": deep, "b.py": "= broken"}, {"b.py": "= broken"})))

    assert [(each.path, "could not read" in each.message) for each in judged.findings] == [("a.py", True)]
    assert [each.path for each in judged.preexisting] == ["b.py"]


def test_security_says_how_much_was_silenced(bench: Bench, change: Make) -> None:
    judged = asyncio.run(security(bench, change({"a.py": RISKY.replace("True)", "True)  # nosec")})))

    assert judged.verdict == "pass"
    assert "1 lines silenced" in judged.note


def test_secrets_are_found_and_not_repeated(bench: Bench, change: Make) -> None:
    key = "AKIA" + "QWERTYUIOPASDFGH"
    files = {"config.py": f"AWS = '{key}'\n", "tests/test_a.py": "password = 'correct-horse-battery'\n"}

    judged = asyncio.run(secrets(bench, change(files)))

    assert judged.verdict == "fail"
    assert set(found(judged)) == {("config.py", 1)}
    assert key not in str(judged.findings)


def test_secrets_say_how_much_was_silenced(bench: Bench, change: Make) -> None:
    files = {"config.py": f"AWS = '{'AKIA' + 'QWERTYUIOPASDFGH'}'  # pragma: allowlist secret\n"}

    judged = asyncio.run(secrets(bench, change(files)))

    assert "1 lines silenced" in judged.note


def test_hashes_in_a_lock_are_no_secrets(bench: Bench, change: Make) -> None:
    lock = f"alpha==1.0 --hash=sha256:{'0123456789abcdef' * 4}\n"

    assert asyncio.run(secrets(bench, change({"requirements.lock": lock}))).verdict == "pass"


@pytest.mark.parametrize("files", [{"a.py": "x: int = ''\n"}, {"pyproject.toml": "[tool.mypy]\nstrict = true\n"}])
def test_types_do_not_apply_without_configuration_or_without_mypy_in_the_lock(
    bench: Bench, change: Make, files: Files
) -> None:
    assert asyncio.run(types(bench, change(files))).verdict == "not_applicable"


MYPY = "[tool.mypy]\nstrict = true\n"


@dataclass(frozen=True)
class EnvironmentsWithMypy:
    """Stands in for the environments of a service: each has a package `mypy`."""

    path: Path

    async def provide(self, tree: Tree) -> CandidateEnvironment:
        return CandidateEnvironment(self.path, None, None)


@pytest.mark.parametrize(("kept", "said"), [("", "does not configure"), (MYPY, "lock does not have it")])
def test_a_change_may_not_end_the_checking_of_types(
    bench: Bench, change: Make, tmp_path: Path, kept: str, said: str
) -> None:
    (tmp_path / "packages" / "mypy").mkdir(parents=True)
    environments: Any = EnvironmentsWithMypy(tmp_path / "packages")

    judged = asyncio.run(
        types(replace(bench, environments=environments), change({"pyproject.toml": kept}, {"pyproject.toml": MYPY}))
    )

    assert judged.verdict == "fail"
    assert said in judged.findings[0].message


@pytest.mark.parametrize(
    "line", [b"{x", b'{"severity": "error", "file": "a.py"}', b"{" * 9999, b'{"severity": "error", "line": 1e999}']
)
def test_what_a_plugin_prints_between_mypys_messages_is_a_finding(line: bytes) -> None:
    genuine = b'{"file": "a.py", "line": 3, "message": "bad", "code": null, "severity": "error"}'

    first, second = mypy_findings(b"noise\n" + line + b"\n" + genuine + b"\n")

    assert "none of its messages" in first.message
    assert (second.path, second.line) == ("a.py", 3)


@pytest.mark.parametrize(
    "files",
    [
        {"setup.cfg": "[metadata]\nname\n"},
        {"mypy.ini": "no section\n"},
        {"pyproject.toml": "a = " + "[" * 5000 + "]" * 5000 + "\n"},
        {"pyproject.toml": "[tool]\nmypy = 3\n"},
        {"pyproject.toml": "tool = 3\n"},
    ],
)
def test_a_broken_configuration_of_mypy_counts_as_none(change: Make, files: Files) -> None:
    assert mypy_settings(change(files).head.tree) is None


def overwhelmed_by(*trees: Tree) -> Scanner:
    async def scan(tree: Tree) -> Scan:
        if tree in trees:
            raise ToolOverwhelmed("ruff did not do its work (output)")
        return Scan(())

    return scan


@pytest.mark.asyncio
async def test_a_change_that_is_too_much_for_a_tool_is_charged_unless_its_base_was_too(change: Make) -> None:
    made = change({"a.py": "1\n"}, {})
    assert made.base is not None

    assert (await judge_scan("lint", made, overwhelmed_by(made.head.tree))).verdict == "fail"
    with pytest.raises(CannotJudge):
        await judge_scan("lint", made, overwhelmed_by(made.head.tree, made.base))


def test_a_tool_that_is_killed_for_its_output_was_overwhelmed(bench: Bench, change: Make) -> None:
    flood = "while True: print('x' * 65536)"
    argv = [str(bench.sandbox.python), "-I", "-S", "-c", flood]

    with pytest.raises(ToolOverwhelmed, match="output"):
        asyncio.run(run_tool(bench, change({}).head.tree, argv, ()))


@pytest.mark.asyncio
async def test_a_tool_that_is_not_done_in_time_does_not_speak_against_the_change(
    bench: Bench, change: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "_LIMITS", Limits(wall_seconds=0.3))
    argv = [str(bench.sandbox.python), "-I", "-S", "-c", "import time; time.sleep(600)"]

    async def scan(tree: Tree) -> Scan:
        await run_tool(bench, tree, argv, ())
        return Scan(())

    with pytest.raises(CannotJudge, match="very busy"):
        await judge_scan("types", change({}), scan)


def test_forbidden_changes_are_links_submodules_and_compiled_code(tmp_path: Path) -> None:
    tree = _write(tmp_path / "head", {"a.so": "x", "tool": "\x7fELF...", "a.py": "x = 1\n"})
    refused = Tree(tree.path, tree.files, (Refused("link", "is a symbolic link"),))
    spec = Spec(title="t", request="r", engine="test", criteria=())

    judged = asyncio.run(forbidden(Change(spec, Version(refused, NO_DEPENDENCIES), None)))

    assert judged.verdict == "fail"
    assert [finding.path for finding in judged.findings] == ["link", "a.so", "tool"]


def test_what_was_refused_at_base_too_is_not_charged(tmp_path: Path) -> None:
    tree = Tree(_write(tmp_path / "head", {}).path, (), (Refused("link", "is a symbolic link"),))
    spec = Spec(title="t", request="r", engine="test", criteria=())

    judged = asyncio.run(forbidden(Change(spec, Version(tree, NO_DEPENDENCIES), tree)))

    assert (judged.verdict, len(judged.preexisting)) == ("pass", 1)


@pytest.mark.parametrize("error", [CannotJudge("no tool"), LauncherError("spawn", "no tool")])
@pytest.mark.asyncio
async def test_what_keeps_a_check_from_judging_is_environment(error: Exception) -> None:
    async def check() -> Judged:
        raise error

    result = await run_check("lint", "verified_io", check)

    assert result.verdict == "environment"
    assert "no tool" in result.evidence


@pytest.mark.parametrize("error", [KeyError("code"), TypeError("x"), RecursionError("deep"), UnicodeError("y")])
@pytest.mark.asyncio
async def test_what_a_check_cannot_read_speaks_against_the_change(error: Exception) -> None:
    async def check() -> Judged:
        raise error

    result = await run_check("lint", "verified_io", check)

    assert result.verdict == "fail"
    assert type(error).__name__ in result.findings[0].message


CALC = "def add(a, b):\n    return a + b\n"
STRICT = (
    "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
    "\n\ndef test_zero():\n    assert add(0, 0) == 0\n"
)
BASE = {"calc.py": CALC, "tests/test_calc.py": STRICT}
WRONG = "def add(a, b):\n    return a * b\n"
WEAK = STRICT.replace("== 5", "!= 99")

Judge = Callable[[Change], Judged]


@pytest.fixture
def judge_tests(bench: Bench) -> Judge:
    def judge(change: Change) -> Judged:
        work: Awaitable[Any] = project_tests(bench, change)
        return asyncio.run(work)  # type: ignore[arg-type]

    return judge


def test_a_change_that_keeps_the_bases_tests_green_passes(change: Make, judge_tests: Judge) -> None:
    judged = judge_tests(change({**BASE, "new.py": ""}, BASE))

    assert (judged.verdict, judged.findings) == ("pass", ())
    assert judged.note == "at head 2 passed; at base 2 passed"


def test_a_regression_is_charged(change: Make, judge_tests: Judge) -> None:
    judged = judge_tests(change({**BASE, "calc.py": WRONG}, BASE))

    assert judged.verdict == "fail"
    assert "tests/test_calc.py::test_add failed" in judged.findings[0].message


def test_a_regression_behind_a_weakened_test_is_charged(change: Make, judge_tests: Judge) -> None:
    judged = judge_tests(change({"calc.py": WRONG, "tests/test_calc.py": WEAK}, BASE))

    assert judged.verdict == "fail"
    assert "as it was at base it now fails" in judged.findings[0].message


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        (STRICT.split("\n\n\ndef test_zero")[0], "gone"),
        (STRICT.replace("def test_zero", "import pytest\n@pytest.mark.skip('why')\ndef test_zero"), "skipped at head"),
        (STRICT.replace("def test_zero", "def zero"), "gone"),
    ],
)
def test_a_test_that_no_longer_runs_is_charged_unless_the_spec_lists_it(
    change: Make, judge_tests: Judge, tmp_path: Path, tests: str, said: str
) -> None:
    head = {"calc.py": CALC, "tests/test_calc.py": tests}

    judged = judge_tests(change(head, BASE))

    assert judged.verdict == "fail"
    assert said in judged.findings[0].message


def test_the_spec_may_let_a_test_go(change: Make, judge_tests: Judge) -> None:
    head = {"calc.py": CALC, "tests/test_calc.py": STRICT.split("\n\n\ndef test_zero")[0]}

    assert judge_tests(change(head, BASE, ("tests/test_calc.py::test_zero",))).verdict == "pass"


def test_what_was_red_at_base_is_reported_and_not_charged(change: Make, judge_tests: Judge) -> None:
    red = {**BASE, "tests/test_old.py": "def test_old(): assert False\n"}

    judged = judge_tests(change({**red, "new.py": ""}, red))

    assert judged.verdict == "pass"
    assert [each.path for each in judged.preexisting] == ["tests/test_old.py"]


def test_where_everything_was_red_before_nothing_is_shown(change: Make, judge_tests: Judge) -> None:
    red = {"tests/test_old.py": "def test_old(): assert False\n"}

    assert judge_tests(change({**red, "new.py": ""}, red)).verdict == "environment"


def test_where_everything_is_skipped_nothing_is_shown(change: Make, judge_tests: Judge) -> None:
    skipped = {"tests/test_a.py": "import pytest\ndef test_a(): pytest.skip('later')\n"}

    assert judge_tests(change(skipped)).verdict == "fail"


def test_a_base_whose_tests_broke_off_is_nothing_to_compare_with(change: Make, judge_tests: Judge) -> None:
    judged = judge_tests(change(BASE, {**BASE, "calc.py": "import os\nos._exit(0)\n"}))

    assert judged.verdict == "pass"
    assert "ended before its tests did" in judged.note


OTHER = {"other_test.py": "def test_other(): assert 1\n"}
CUSTOM = {"pyproject.toml": "[tool.pytest.ini_options]\npython_files = ['check_*.py']\n"}


@pytest.mark.parametrize(
    ("base", "head"),
    [
        ({"calc_test.py": STRICT}, OTHER),
        ({"calc_test.py": STRICT}, {"calc_test.py": WEAK}),
        ({**CUSTOM, "check_calc.py": STRICT}, {**CUSTOM, "check_other.py": OTHER["other_test.py"]}),
        ({**CUSTOM, "check_calc.py": STRICT}, {**CUSTOM, "check_calc.py": WEAK}),
        ({**CUSTOM, "check_calc.py": STRICT}, OTHER),
    ],
)
def test_a_regression_is_charged_whatever_the_tests_are_called(
    change: Make, judge_tests: Judge, base: Files, head: Files
) -> None:
    assert judge_tests(change({"calc.py": WRONG, **head}, {"calc.py": CALC, **base})).verdict == "fail"


def test_a_new_conftest_cannot_mend_a_regression(change: Make, judge_tests: Judge) -> None:
    patch = "import calc\ncalc.add = lambda a, b: a + b\n"

    judged = judge_tests(change({**BASE, "calc.py": WRONG, "tests/conftest.py": patch}, BASE))

    assert judged.verdict == "fail"
    assert "as it was at base" in judged.findings[0].message


def test_a_base_whose_tests_broke_off_does_not_waive_them(change: Make, judge_tests: Judge) -> None:
    base = {**BASE, "calc.py": "import os\nos._exit(0)\n"}

    weakened = judge_tests(change({"calc.py": WRONG, "tests/test_calc.py": WEAK}, base))

    assert weakened.verdict == "fail"
    assert "could not be run at base; as it was at base it now fails" in weakened.findings[0].message


@pytest.mark.parametrize(
    ("base", "head"),
    [
        (BASE, {"calc.py": CALC, "tests": "x", "test_new.py": "def test_new(): pass\n"}),
        ({"calc.py": CALC, "test_a.py": STRICT}, {"calc.py": CALC, "test_a.py/test_new.py": STRICT}),
    ],
)
def test_a_file_in_the_place_of_a_directory_and_the_other_way_round_can_be_judged(
    change: Make, judge_tests: Judge, base: Files, head: Files
) -> None:
    judged = judge_tests(change(head, base))

    assert judged.verdict == "fail"
    assert "gone" in judged.findings[0].message


def test_no_test_collected_fails(change: Make, judge_tests: Judge) -> None:
    judged = judge_tests(change({"calc.py": CALC}))

    assert (judged.verdict, judged.note) == ("fail", "no test was collected")


def test_tests_that_prove_nothing_fail_with_the_reason(change: Make, judge_tests: Judge) -> None:
    judged = judge_tests(change({"calc.py": "import os\nos._exit(0)\n", "tests/test_calc.py": STRICT}))

    assert judged.verdict == "fail"
    assert "ended before its tests did" in judged.note


def test_an_environment_without_packages_has_nothing() -> None:
    assert not CandidateEnvironment(None, None, None).has("mypy")


@pytest.mark.parametrize(
    ("step", "failures", "verdict", "attempts"),
    [("disk", 2, "pass", 3), ("disk", 9, "environment", 3), ("landlock", 1, "environment", 1)],
)
@pytest.mark.asyncio
async def test_a_check_is_made_again_where_the_sandbox_failed_for_what_passes(
    step: str, failures: int, verdict: str, attempts: int
) -> None:
    made = 0

    async def check() -> Judged:
        nonlocal made
        made += 1
        if made <= failures:
            raise LauncherError(step, "others filled it")
        return Judged("pass", "done")

    result = await run_check("lint", "verified_io", check)
    assert (result.verdict, made) == (verdict, attempts)
