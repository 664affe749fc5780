"""What is wrong with a model's draft: told to the model, which may mend it once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from worksite.architect.domain.drafts import DesignAnswer, Draft
from worksite.architect.domain.packaging import package_faults
from worksite.architect.domain.testcode import TestFunction, TestModule, read_module
from worksite.common.messages import Criterion, Model, Problem, Question, TestFile

ACCEPTANCE, INSIDE = "acceptance/", "unit/"
"""Tests of the first folder talk to the candidate through a pipe; those of the second run in its process."""
JUDGED_BY_CHECK = frozenset({"project-tests", "lint", "types", "security", "secrets", "forbidden-changes"})
"""Ids of criteria that a check of the validator's shows, without a test."""
STARTS = frozenset({"app", "launch"})
"""Fixtures that start an application, which needs a harness."""
TALKS = STARTS | {"load", "run"}
"""Fixtures by which an acceptance test reaches the candidate: an application, functions, command lines."""
OF_PYTEST = frozenset(
    {"request", "tmp_path", "tmp_path_factory", "monkeypatch", "capsys", "capfd", "caplog", "recwarn", "subtests"}
)
_TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
_LOADED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:([A-Za-z_]\w*(\.[A-Za-z_]\w*)*)?")
_DATA: Mapping[str, type[Model]] = {"ok": Draft, "needs_input": Question, "refused": Problem}
_MAX_FAULTS = 20


def answer_faults(answer: DesignAnswer, may_split: bool) -> Sequence[str]:
    """Nothing where it can be used as it is."""
    if not isinstance(answer.data, _DATA[answer.status]):
        return (f"status {answer.status} does not go with data of type {answer.data.type}",)
    return tuple(draft_faults(answer.data, may_split))[:_MAX_FAULTS] if isinstance(answer.data, Draft) else ()


def draft_faults(draft: Draft, may_split: bool) -> Iterator[str]:
    """Why criteria of this draft could not be run, or its packages not be built, one sentence each."""
    if not draft.criteria:
        yield "there is no criterion: without one nothing can ever pass"
    elif not any(criterion.test for criterion in draft.criteria):
        yield "no criterion has a test: a change that does nothing of what was asked for would pass"
    counts = Counter(criterion.id for criterion in draft.criteria)
    yield from (f"the criterion {name} stands there {count} times" for name, count in counts.items() if count > 1)
    if draft.harness and not _TARGET.fullmatch(draft.harness.target):
        yield f"harness.target {draft.harness.target!r} is not module:attribute"
    yield from _test_faults(draft)
    yield from package_faults(draft, may_split)


def _test_faults(draft: Draft) -> Iterator[str]:
    paths = Counter(test.path for test in draft.tests)
    yield from (f"two tests have the path {path}" for path, count in paths.items() if count > 1)
    modules: dict[str, TestModule] = {}
    for test in draft.tests:
        if fault := _place_fault(test):
            yield f"{test.path}: {fault}"
            continue
        modules[test.path] = module = read_module(test.content)
        yield from (f"{test.path}: {fault}" for fault in module.faults)
        if test.path.startswith(ACCEPTANCE):
            yield from _acceptance_faults(test.path, module, modules_beside(draft.tests))
    if draft.harness is None and any(_starts_application(path, module) for path, module in modules.items()):
        yield f"tests in {ACCEPTANCE} talk to a running application, and harness does not say how it is started"
    fixtures = {name: module.functions[name] for module in modules.values() for name in module.fixtures}
    for criterion in draft.criteria:
        if fault := _criterion_fault(criterion, modules, fixtures):
            yield f"criterion {criterion.id}: {fault}"


def _starts_application(path: str, module: TestModule) -> bool:
    return path.startswith(ACCEPTANCE) and any(STARTS & each.parameters for each in module.functions.values())


def modules_beside(tests: Sequence[TestFile]) -> frozenset[str]:
    """What a test may import of the tests' own files."""
    return frozenset(PurePosixPath(test.path).stem for test in tests)


def _place_fault(test: TestFile) -> str | None:
    path = PurePosixPath(test.path)
    if not test.path.startswith((ACCEPTANCE, INSIDE)) or ".." in path.parts or path.suffix != ".py":
        return f"a test is a .py file in {ACCEPTANCE} or {INSIDE}"
    if path.name.endswith("_test.py"):
        return "is not collected: name it test_*.py"
    return None


def _acceptance_faults(path: str, module: TestModule, beside: frozenset[str]) -> Iterator[str]:
    """It runs in a process without the candidate and without its dependencies."""
    if foreign := sorted(module.foreign_imports - beside):
        yield f"{path}: may import the standard library and pytest only, not {', '.join(foreign)}"
    if wrong := sorted(target for target in module.loaded if not _LOADED.fullmatch(target)):
        yield f"{path}: load takes module:name, not {', '.join(wrong)}"
    for name, function in module.functions.items():
        if function.is_async and name.startswith("test_"):
            yield f"{path}::{name}: is async; the candidate is talked to by plain calls"


def _criterion_fault(
    criterion: Criterion, modules: Mapping[str, TestModule], fixtures: Mapping[str, TestFunction]
) -> str | None:
    if criterion.test is None:
        known = criterion.id in JUDGED_BY_CHECK
        return None if known else f"has no test, and no check has its name ({', '.join(sorted(JUDGED_BY_CHECK))})"
    path, _, name = criterion.test.partition("::")
    if path not in modules or name not in modules[path].functions or not name.startswith("test_"):
        return f"there is no test {criterion.test}: write it as path::function"
    grade = "verified_io" if path.startswith(ACCEPTANCE) else "self_reported"
    if criterion.grade != grade:
        return f"a test in {path.partition('/')[0]}/ shows it as {grade}, not as {criterion.grade}"
    return _fixture_fault(criterion.test, modules[path].functions[name], fixtures)


def _fixture_fault(test: str, function: TestFunction, fixtures: Mapping[str, TestFunction]) -> str | None:
    outside = test.startswith(ACCEPTANCE)
    known = OF_PYTEST.union(fixtures, function.parametrized, (*TALKS, "fresh") if outside else ())
    if unknown := sorted(function.parameters - known):
        return f"{test} asks for {', '.join(unknown)}, and there is no such fixture"
    if outside and not (TALKS | {"request"}) & _asked_for(function, fixtures):
        return f"{test} asks for none of {', '.join(sorted(TALKS))}, so it never talks to the candidate"
    return None


def _asked_for(function: TestFunction, fixtures: Mapping[str, TestFunction]) -> set[str]:
    """The fixtures of a test, those of its fixtures included."""
    asked, more = set[str](), set(function.parameters)
    while more:
        asked |= more
        more = {name for each in more if each in fixtures for name in fixtures[each].parameters} - asked
    return asked
