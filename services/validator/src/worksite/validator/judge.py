"""Run every check on a change and draw the verdict: the shell around `domain.judgement`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from worksite.common.messages import CheckResult, CriterionResult, Grade, Harness, TestFile, Verdict
from worksite.validator.acceptance.broker import examine
from worksite.validator.bench import Bench, Change
from worksite.validator.checks import (
    commands,
    forbidden,
    lint,
    project_tests,
    secrets,
    security,
    spec_tests,
    tampering,
    types,
)
from worksite.validator.checks.result import Check, Judged, run_check
from worksite.validator.domain import judgement
from worksite.validator.domain.cases import Case, Suite
from worksite.validator.domain.declaration import is_module
from worksite.validator.domain.judgement import ACCEPTANCE_FOLDER
from worksite.validator.selfreport.run import run_spec_tests

CONCURRENT_EXAMINERS = 2

T = TypeVar("T")
Progress = Callable[[str], Awaitable[None]]
Examination = tuple[Harness | None, tuple[TestFile, ...]]


@dataclass(frozen=True)
class Evidence:
    """All results, and what follows from them."""

    criteria: tuple[CriterionResult, ...]
    checks: tuple[CheckResult, ...]

    @property
    def verdict(self) -> Verdict:
        return judgement.overall(self.criteria, self.checks)


@dataclass(frozen=True)
class Planned:
    """A check to run, and what it waits for."""

    name: str
    grade: Grade
    check: Check
    turns: asyncio.Semaphore | None = None
    """What it waits for first; the time until then is not its own."""


async def judge(bench: Bench, change: Change, progress: Progress) -> Evidence:
    """Every check: acceptance, which mostly waits for the candidate, beside all others one after the other."""
    judging = _Judging(bench, change)
    checks = await together(tell(progress, each) for each in judging.checks())
    by_name = answers(checks, change)
    criteria = tuple(judgement.judge_criterion(each, judging.suites, by_name) for each in change.spec.criteria)
    verdict = judgement.overall(criteria, checks)
    return Evidence(
        criteria,
        tuple(judgement.weighed(check, verdict) if check.name == tampering.NAME else check for check in checks),
    )


@dataclass
class _Judging:
    """The checks of one change, and the suites that its criteria are judged by."""

    bench: Bench
    change: Change
    suites: dict[Grade, Suite] = field(default_factory=dict[Grade, Suite])
    examiners: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CONCURRENT_EXAMINERS))
    others: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    def checks(self) -> Iterator[Planned]:
        """The longest first."""
        tests = self.change.spec.tests
        if acceptance_modules(self.change):
            yield Planned(spec_tests.ACCEPTANCE, self.change.acceptance_grade, self._acceptance)
        yield Planned(project_tests.NAME, "self_reported", self._project_tests, self.others)
        for declared in self.change.commands:
            check = partial(commands.command, self.bench, self.change, declared)
            yield Planned(declared.name, "self_reported", check, self.others)
        yield self._queued(types.NAME, "self_reported", types.types)
        if inside := tuple(test for test in tests if not test.path.startswith(ACCEPTANCE_FOLDER)):
            yield Planned(spec_tests.SPEC_TESTS, "self_reported", partial(self._spec_tests, inside), self.others)
        yield self._queued(secrets.NAME, "verified_io", secrets.secrets)
        yield self._queued(security.NAME, "verified_io", security.security)
        yield self._queued(lint.NAME, "verified_io", lint.lint)
        yield self._queued(tampering.NAME, "verified_io", tampering.tampering)
        yield Planned(forbidden.NAME, "verified_io", partial(forbidden.forbidden, self.change))

    def _queued(self, name: str, grade: Grade, check: Callable[[Bench, Change], Awaitable[Judged]]) -> Planned:
        return Planned(name, grade, partial(check, self.bench, self.change), self.others)

    async def _acceptance(self) -> Judged:
        """Each module of tests has an examiner of its own, so that one may run while another waits."""
        modules = acceptance_modules(self.change)
        suite = merged(await together(in_turn(self.examiners, partial(self._examined, *each)) for each in modules))
        self._add(self.change.acceptance_grade, suite)
        return spec_tests.judge_suite(spec_tests.ACCEPTANCE, suite)

    async def _examined(self, harness: Harness | None, tests: tuple[TestFile, ...]) -> Suite:
        return of_module(tests[0].path, await examine(self.bench, self.change.head, harness, tests))

    async def _project_tests(self) -> Judged:
        """A Spec that brings no such tests of its own, as that of a review, may name the project's."""
        judged = await project_tests.project_tests(self.bench, self.change)
        if judged.suite and all(test.path.startswith(ACCEPTANCE_FOLDER) for test in self.change.spec.tests):
            self._add("self_reported", judged.suite)
        return judged

    async def _spec_tests(self, tests: tuple[TestFile, ...]) -> Judged:
        suite = await run_spec_tests(self.bench, self.change.head, tests)
        self._add("self_reported", suite)
        return spec_tests.judge_suite(spec_tests.SPEC_TESTS, suite)

    def _add(self, grade: Grade, suite: Suite) -> None:
        self.suites[grade] = merged([self.suites.get(grade, Suite()), suite])


def answers(checks: list[CheckResult], change: Change) -> dict[str, CheckResult]:
    """The checks that may judge a criterion, by name; declared commands answer for `project-tests` where a project has
    none for pytest. What only the candidate declares may speak against it, and answers nothing."""
    own = {command.name for command in change.commands} - {command.name for command in change.answering}
    found = {check.name: check for check in checks if check.name not in own}
    tests = found[project_tests.NAME]
    declared = [found[command.name] for command in change.answering]
    if tests.verdict != "not_applicable" or not declared:
        return found
    said = "; ".join(f"{check.name}: {check.evidence}" for check in declared)
    answer = tests.model_copy(update={"verdict": commands.taken_together(declared), "evidence": said})
    return {**found, project_tests.NAME: answer}


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all. The first error goes on only after the others have ended, for they share a workspace."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return [task.result() for task in tasks]


async def in_turn(turns: asyncio.Semaphore, work: Callable[[], Awaitable[T]]) -> T:
    """Do the work when it has its turn."""
    async with turns:
        return await work()


def acceptance_modules(change: Change) -> list[Examination]:
    """One for each module of acceptance tests. Those of the Spec run beside its own helpers only, and with its own
    harness: nothing that the project has in the same folder comes near them."""
    spec, declared = change.spec, change.declared
    return [*_modules(spec.harness, spec.tests), *_modules(declared.harness, declared.tests)]


def _modules(harness: Harness | None, tests: tuple[TestFile, ...]) -> Iterator[Examination]:
    """Each module with the helpers that all of them share."""
    files = [test for test in tests if test.path.startswith(ACCEPTANCE_FOLDER)]
    helpers = [test for test in files if not is_module(test.path)]
    return ((harness, (module, *helpers)) for module in files if is_module(module.path))


def of_module(path: str, suite: Suite) -> Suite:
    """What a module says of tests that are none of its own may count against the change, but shows nothing."""
    kept = {key: case for key, case in suite.cases.items() if case.outcome != "passed" or key.startswith(f"{path}::")}
    return replace(suite, cases=kept)


def merged(suites: list[Suite]) -> Suite:
    """A test that ran in several modules must have passed in all of them."""
    cases: dict[str, Case] = {}
    for case in (case for suite in suites for case in suite.cases.values()):
        if case.id not in cases or cases[case.id].outcome == "passed":
            cases[case.id] = case
    troubles = [suite.trouble for suite in suites if suite.trouble]
    doubts = [suite.doubt for suite in suites if suite.doubt]
    return Suite(cases, "; ".join(troubles) or None, doubt="; ".join(doubts) or None)


async def tell(progress: Progress, planned: Planned) -> CheckResult:
    """Run a check when it has its turn, and say how it went."""
    work = partial(run_check, planned.name, planned.grade, planned.check)
    result = await (in_turn(planned.turns, work) if planned.turns else work())
    said = result.evidence.splitlines()[0] if result.evidence else ""
    await progress(f"{result.name}: {result.verdict} ({said[:300]}, {result.duration_seconds:.1f} s)")
    return result
