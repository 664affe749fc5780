"""Run every check on a change and draw the verdict: the shell around `domain.judgement`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TypeVar

from worksite.common.messages import CheckResult, CriterionResult, Grade, Spec, TestFile, Verdict
from worksite.validator.acceptance.broker import examine
from worksite.validator.bench import Bench, Change
from worksite.validator.checks import forbidden, lint, project_tests, secrets, security, spec_tests, types
from worksite.validator.checks.result import Check, Judged, run_check
from worksite.validator.domain import judgement
from worksite.validator.domain.cases import Suite
from worksite.validator.domain.judgement import ACCEPTANCE_FOLDER
from worksite.validator.selfreport.run import run_spec_tests

CONCURRENT_RUNS = 2

T = TypeVar("T")
Progress = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Evidence:
    """All results, and what follows from them."""

    criteria: tuple[CriterionResult, ...]
    checks: tuple[CheckResult, ...]

    @property
    def verdict(self) -> Verdict:
        return judgement.overall(self.criteria, self.checks)


async def judge(bench: Bench, change: Change, progress: Progress) -> Evidence:
    """Every check, at most `CONCURRENT_RUNS` at a time; the longest begin first."""
    suites: dict[Grade, Suite] = {}
    slots = asyncio.Semaphore(CONCURRENT_RUNS)
    checks = await asyncio.gather(
        *(
            _told(progress, run_check(name, grade, check))
            for name, grade, check in _checks(bench, change, suites, slots)
        )
    )
    by_name = {check.name: check for check in checks}
    criteria = tuple(judgement.judge_criterion(each, suites, by_name) for each in change.spec.criteria)
    return Evidence(criteria, tuple(checks))


def _checks(
    bench: Bench, change: Change, suites: dict[Grade, Suite], slots: asyncio.Semaphore
) -> list[tuple[str, Grade, Check]]:
    acceptance = [test for test in change.spec.tests if test.path.startswith(ACCEPTANCE_FOLDER)]
    others = [test for test in change.spec.tests if not test.path.startswith(ACCEPTANCE_FOLDER)]
    tools = (
        (project_tests.NAME, "self_reported", partial(project_tests.project_tests, bench, change)),
        (types.NAME, "self_reported", partial(types.types, bench, change)),
        (security.NAME, "verified_io", partial(security.security, bench, change)),
        (secrets.NAME, "verified_io", partial(secrets.secrets, bench, change)),
        (lint.NAME, "verified_io", partial(lint.lint, bench, change)),
        (forbidden.NAME, "verified_io", partial(forbidden.forbidden, change)),
    )
    planned: list[tuple[str, Grade, Check]] = []
    if acceptance:
        planned.append((spec_tests.ACCEPTANCE, "verified_io", partial(_acceptance, bench, change, suites, slots)))
    planned += [(name, grade, partial(_in_slot, slots, check)) for name, grade, check in tools]
    if others:
        check = partial(_spec_tests, bench, change, tuple(others), suites)
        planned.append((spec_tests.SPEC_TESTS, "self_reported", partial(_in_slot, slots, check)))
    return planned


async def _acceptance(bench: Bench, change: Change, suites: dict[Grade, Suite], slots: asyncio.Semaphore) -> Judged:
    """Each test module has an examiner of its own: they mostly wait, so they share the slots with the other checks."""
    spec, head = change.spec, change.head
    runs = (_in_slot(slots, partial(examine, bench, head, spec.harness, module)) for module in acceptance_modules(spec))
    suites["verified_io"] = _merged(await asyncio.gather(*runs))
    return spec_tests.judge_suite(spec_tests.ACCEPTANCE, suites["verified_io"])


async def _spec_tests(bench: Bench, change: Change, tests: tuple[TestFile, ...], suites: dict[Grade, Suite]) -> Judged:
    suites["self_reported"] = await run_spec_tests(bench, change.head, tests)
    return spec_tests.judge_suite(spec_tests.SPEC_TESTS, suites["self_reported"])


def acceptance_modules(spec: Spec) -> list[tuple[TestFile, ...]]:
    """One group per acceptance test module: the module and the helpers that all of them share."""
    files = [test for test in spec.tests if test.path.startswith(ACCEPTANCE_FOLDER)]
    modules = [test for test in files if PurePosixPath(test.path).name.startswith("test_")]
    helpers = [test for test in files if test not in modules]
    return [(module, *helpers) for module in modules]


def _merged(suites: list[Suite]) -> Suite:
    cases = {key: case for suite in suites for key, case in suite.cases.items()}
    troubles = [suite.trouble for suite in suites if suite.trouble]
    return Suite(cases, "; ".join(troubles) or None)


async def _in_slot(slots: asyncio.Semaphore, work: Callable[[], Awaitable[T]]) -> T:
    async with slots:
        return await work()


async def _told(progress: Progress, running: Awaitable[CheckResult]) -> CheckResult:
    check = await running
    await progress(f"{check.name}: {check.verdict} ({check.evidence.splitlines()[0]}, {check.duration_seconds:.1f} s)")
    return check
