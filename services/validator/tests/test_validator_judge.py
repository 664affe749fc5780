"""Running the checks of a change beside each other, and the examiners of its acceptance tests."""

from __future__ import annotations

import asyncio
import time

import pytest
from worksite.common.messages import TestFile
from worksite.validator.checks.result import Judged
from worksite.validator.domain.cases import Case, CaseOutcome, Suite
from worksite.validator.domain.declaration import unread_module
from worksite.validator.judge import Planned, merged, of_module, tell, together
from worksite.validator.sandbox import LauncherError


@pytest.mark.asyncio
async def test_an_error_goes_on_as_it_is_after_the_others_have_ended() -> None:
    ended: list[str] = []

    async def long() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("long")

    async def failing() -> None:
        await asyncio.sleep(0)
        raise LauncherError("spawn", "no memory")

    with pytest.raises(LauncherError):
        await together([long(), failing()])

    assert ended == ["long"]


@pytest.mark.asyncio
async def test_results_come_in_the_order_of_the_work() -> None:
    first = asyncio.Event()

    async def slow() -> int:
        await first.wait()
        return 1

    async def quick() -> int:
        first.set()
        return 2

    assert await together([slow(), quick()]) == [1, 2]


@pytest.mark.parametrize("outcomes", [("passed", "failed"), ("failed", "passed")])
def test_a_test_that_failed_in_one_module_has_failed(outcomes: tuple[CaseOutcome, CaseOutcome]) -> None:
    suites = [Suite({"a::test": Case("a::test", outcome)}) for outcome in outcomes]

    assert merged(suites).cases["a::test"].outcome == "failed"


def test_a_module_shows_nothing_about_the_tests_of_another() -> None:
    cases = [Case("a.py::test", "passed"), Case("b.py::test", "passed"), Case("b.py::wrong", "failed")]
    suite = of_module("a.py", Suite({case.id: case for case in cases}))

    assert list(suite.cases) == ["a.py::test", "b.py::wrong"]


def test_an_acceptance_file_that_is_collected_but_no_module_is_found() -> None:
    def tests(*paths: str) -> tuple[TestFile, ...]:
        return tuple(TestFile(path=path, content="") for path in paths)

    assert unread_module(tests("acceptance/test_a.py", "acceptance/sums_test.py")) == "acceptance/sums_test.py"
    assert unread_module(tests("acceptance/test_test.py", "acceptance/helpers.py", "unit/sums_test.py")) is None


@pytest.mark.asyncio
async def test_a_checks_time_is_its_own_and_not_the_time_it_waited_for_its_turn() -> None:
    async def check() -> Judged:
        await asyncio.sleep(0.01)
        return Judged("pass", "ok")

    async def progress(_: str) -> None:
        return None

    turns = asyncio.Semaphore(1)
    started = time.monotonic()
    results = await together(tell(progress, Planned(f"check-{n}", "verified_io", check, turns)) for n in range(6))
    elapsed = time.monotonic() - started
    assert sum(result.duration_seconds for result in results) <= elapsed + 0.01  # one after the other; rounding aside
