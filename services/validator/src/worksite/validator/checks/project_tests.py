"""The project's own tests: at base, at head, and the head's code under the base's tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from worksite.common.messages import CheckVerdict, Finding
from worksite.validator.bench import Bench, Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.testing import is_below_tests, test_files
from worksite.validator.domain.baseline import Charge, Relative, compare
from worksite.validator.domain.cases import Suite
from worksite.validator.domain.flakiness import Repeated, marked, settled, suspects
from worksite.validator.domain.judgement import ACCEPTANCE_FOLDER
from worksite.validator.selfreport.run import run_project_tests
from worksite.validator.tree import Tree

NAME = "project-tests"
RERUNS = 2
"""Of tests that are charged for failing, to tell flaky ones."""


async def project_tests(bench: Bench, change: Change) -> Judged:
    """Judge relative to base (DESIGN section 7). Raises LauncherError, EnvironmentUnavailable."""
    head = await run_project_tests(bench, change.head, ignored=_ignored(change))
    if head.trouble:
        return _trouble("at head", head)
    base = await _at_base(bench, change)
    kept = await _as_they_were(bench, change, base) if base else None
    if kept and kept.trouble:
        return _trouble("with the base's tests", kept)
    if not head.cases and not (base and base.cases):
        return _none(change)
    relative = compare(base, head, kept, change.spec.removed_tests)
    if suspects(relative, [head, *([kept] if kept else [])]):
        head, relative = await _settled(bench, change, _Suites(head, base, kept), relative)
    charged, preexisting = (tuple(map(_finding, each)) for each in (relative.charged, relative.preexisting))
    return Judged(_verdict(head, relative), _note(head, base, kept), charged, preexisting, head)


@dataclass(frozen=True)
class _Suites:
    """The first run of each kind: the head's tests, the base's, and the base's tests on the head's code."""

    head: Suite
    base: Suite | None
    kept: Suite | None


async def _settled(bench: Bench, change: Change, first: _Suites, relative: Relative) -> tuple[Suite, Relative]:
    """Run again what is charged for failing, and the base too if something at head turns out flaky."""
    head = await _repeated(first.head, lambda: run_project_tests(bench, change.head, ignored=_ignored(change)))
    base, kept = first.base, first.kept
    at_head = [head]
    if base and kept:
        at_head.append(await _repeated(kept, lambda: _on_head(bench, change, base)))
    flaky = any(runs.is_flaky(charge.test) for runs in at_head for charge in relative.charged)
    at_base = await _repeated(base, lambda: _on_base(bench, change)) if flaky and base else Repeated()
    settled_ = settled(relative, at_head, at_base)
    excused = {charge.test for charge in relative.charged} - {charge.test for charge in settled_.charged}
    return marked(first.head, frozenset(excused)), settled_


async def _repeated(first: Suite, run: Callable[[], Awaitable[Suite]]) -> Repeated:
    return Repeated((first, *[await run() for _ in range(RERUNS)]))


def _ignored(change: Change) -> str | None:
    """Tests of a declared acceptance folder ask for fixtures that only the examiner has."""
    return ACCEPTANCE_FOLDER if change.declared.accepts else None


def _none(change: Change) -> Judged:
    """Where there are no tests of Python's, those in other languages are declared as commands."""
    if change.answering:
        return Judged("not_applicable", "no test for pytest; the declared commands are the project's tests")
    return Judged("fail", "no test was collected")


def _verdict(head: Suite, relative: Relative) -> CheckVerdict:
    """Where nothing passes, nothing is shown: the change's fault, unless it was so before."""
    if relative.charged:
        return "fail"
    if head.having("passed"):
        return "pass"
    return "environment" if relative.preexisting else "fail"


def _note(head: Suite, base: Suite | None, kept: Suite | None) -> str:
    parts = [f"at head {head.summary()}"]
    parts.append(f"at base {base.trouble or base.summary()}" if base else "no base to compare with")
    parts += [f"the base's tests as they were: {kept.summary()}"] if kept else []
    return "; ".join(parts)


async def _at_base(bench: Bench, change: Change) -> Suite | None:
    """None where there can be no tests: pytest says which files have some, not their names."""
    if change.base is None or not any(name.endswith(".py") for name in change.base.files):
        return None
    return await _on_base(bench, change)


async def _on_base(bench: Bench, change: Change) -> Suite:
    assert change.base is not None
    return await run_project_tests(bench, await bench.version(change.base), ignored=_ignored(change))


async def _as_they_were(bench: Bench, change: Change, base: Suite) -> Suite | None:
    """The base's test files on the head's code; None where the head did not touch them."""
    assert change.base is not None
    head = change.head.tree
    files = _files_of_tests(change.base, base)
    new_conftests = [name for name in head.files if _is_conftest(name) and name not in change.base.files]
    if not new_conftests and all(_same(change.base, head, name) for name in files):
        return None
    return await _on_head(bench, change, base)


async def _on_head(bench: Bench, change: Change, base: Suite) -> Suite:
    """The head's code under the base's tests."""
    assert change.base is not None
    files = _files_of_tests(change.base, base)
    return await run_project_tests(bench, change.head, change.base, files, ignored=_ignored(change))


def _files_of_tests(base: Tree, suite: Suite) -> list[str]:
    """What the suite collected and what goes with it; by their looks where the suite broke off."""
    collected = {case.split("::")[0] for case in suite.cases} | test_files(base)
    return [name for name in base.files if name in collected or is_below_tests(name) or _is_conftest(name)]


def _is_conftest(name: str) -> bool:
    return PurePosixPath(name).name == "conftest.py"


def _same(base: Tree, head: Tree, name: str) -> bool:
    other = head.path / PurePosixPath(name)
    return other.is_file() and other.read_bytes() == (base.path / name).read_bytes()


def _trouble(where: str, suite: Suite) -> Judged:
    finding = Finding(check=NAME, message=suite.trouble or "")
    return Judged("fail", f"the tests {where} prove nothing: {suite.trouble}", (finding,))


def _finding(charge: Charge) -> Finding:
    message = f"{charge.test} {charge.reason}" + (f":\n{charge.text}" if charge.text else "")
    return Finding(check=NAME, message=message, path=charge.test.split("::")[0])
