"""Tests that fail and pass on the same code, through the whole check: by runs whose outcomes are written down."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from worksite.common.messages import Spec
from worksite.validator.bench import Change, Version
from worksite.validator.checks import project_tests
from worksite.validator.checks.result import Judged
from worksite.validator.domain.cases import Case, CaseOutcome, Suite
from worksite.validator.environment import NO_DEPENDENCIES
from worksite.validator.tree import Tree

SHAKY, SOUND = "tests/test_a.py::test_shaky", "tests/test_a.py::test_sound"
SPEC = Spec(title="t", request="r", engine="rules", criteria=())


class Bench:
    """As far as the check needs one."""

    async def version(self, tree: Tree) -> Version:
        return Version(tree, NO_DEPENDENCIES)


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Callable[..., tuple[Judged, int]]:
    """Judge by runs in which the shaky test ends so; also, how often the tests were run."""

    def run(head: list[CaseOutcome], base: list[CaseOutcome] | None = None) -> tuple[Judged, int]:
        trees = {name: Tree(tmp_path / name, ("tests/test_a.py",)) for name in ("head", "base")}
        for tree in trees.values():
            (tree.path / "tests").mkdir(parents=True)
            (tree.path / "tests/test_a.py").write_text("the same")
        left = {trees["head"].path: list(head), trees["base"].path: list(base or [])}
        ran: list[Tree] = []

        async def run_tests(bench: Any, version: Version, *_: Any, ignored: str | None = None) -> Suite:
            ran.append(version.tree)
            outcome = left[version.tree.path].pop(0)
            return Suite({SHAKY: Case(SHAKY, outcome, "assert 1 == 2"), SOUND: Case(SOUND, "passed")})

        monkeypatch.setattr(project_tests, "run_project_tests", run_tests)
        change = Change(SPEC, Version(trees["head"], NO_DEPENDENCIES), trees["base"] if base else None)
        bench: Any = Bench()
        return asyncio.run(project_tests.project_tests(bench, change)), len(ran)

    return run


def test_nothing_is_run_again_where_nothing_failed(check: Callable[..., Any]) -> None:
    judged, runs = check(["passed"], ["passed"])

    assert (judged.verdict, runs) == ("pass", 2)


def test_a_test_that_fails_every_time_is_charged_as_before(check: Callable[..., Any]) -> None:
    judged, runs = check(["failed", "failed", "failed"], ["passed"])

    assert (judged.verdict, runs) == ("fail", 4)
    assert [each.message for each in judged.findings] == [f"{SHAKY} failed:\nassert 1 == 2"]


def test_a_flaky_test_that_the_change_brings_is_charged_and_named_as_flaky(check: Callable[..., Any]) -> None:
    judged, _ = check(["failed", "passed", "passed"])

    assert judged.verdict == "fail"
    assert judged.findings[0].message.startswith(f"{SHAKY} is flaky: it failed in 1 of 3 runs")


def test_a_test_that_was_flaky_before_is_named_and_neither_charged_nor_believed(check: Callable[..., Any]) -> None:
    judged, _ = check(["failed", "passed", "failed"], ["passed", "failed", "passed"])

    assert (judged.verdict, judged.findings) == ("pass", ())
    assert "is flaky: it failed in 2 of 3 runs, at base it failed in 1 of 3 runs" in judged.preexisting[0].message
    assert judged.suite.cases[SHAKY].outcome == "flaky"
