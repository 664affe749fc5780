"""Checks that a project or its Spec declares as command lines: at head, and with the base's tests on head's code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from worksite.common.messages import CheckCommand, CheckResult, CheckVerdict, Finding
from worksite.validator.bench import Bench, Change, Version
from worksite.validator.checks.result import CannotJudge, Judged
from worksite.validator.command_line import NotThere, ending, run_command
from worksite.validator.domain.cases import LAST_WORDS
from worksite.validator.domain.runners import OF_PYTHON, is_named, is_runner, module_found_first
from worksite.validator.sandbox import Limits
from worksite.validator.selfreport.run import lay_over
from worksite.validator.tree import Tree

MIB = 1 << 20


@dataclass(frozen=True)
class _AsItWas:
    """The base's files by which a command judges, where the change has others; `absent`: those that only it has."""

    base: Tree
    kept: tuple[str, ...]
    absent: tuple[str, ...]

    def told(self) -> str:
        parts = [f"with the base's {', '.join(self.kept)[:200]}"] if self.kept else []
        parts += [f"without {', '.join(self.absent)[:200]}, which the base lacks"] if self.absent else []
        return ", ".join(parts)


@dataclass(frozen=True)
class _Problem:
    """Why a command did not pass. `late`: its time was over, which on a busy machine says nothing about the code."""

    text: str
    late: bool = False


async def command(bench: Bench, change: Change, declared: CheckCommand) -> Judged:
    """It must end with exit code 0, with the tests as they are and as they were.

    What fails at base too is reported, not charged, unless the Spec asks for it. Raises LauncherError, CannotJudge.
    """
    problem = await _problem(bench, change.head, declared)
    before = _as_it_was(change, declared)
    if problem is None and before:
        problem = await _problem(bench, change.head, declared, before)
        problem = replace(problem, text=f"{before.told()}: {problem.text}") if problem else None
    if problem is None:
        return Judged("pass", f"{_shown(declared)} ended with exit code 0{' both ways' if before else ''}")
    finding = Finding(check=declared.name, message=f"{_shown(declared)} {problem.text}")
    at_base = await _problem_before(bench, change, declared)
    if at_base and at_base.late:
        raise CannotJudge(f"{finding.message}\nIts time was over at base, so nobody knows whether it failed there")
    if at_base:
        return Judged("not_applicable", "it fails at base too", preexisting=(finding,))
    return Judged("fail", finding.message, (finding,))


async def _problem_before(bench: Bench, change: Change, declared: CheckCommand) -> _Problem | None:
    """Why it did not pass at base, where it is the project's own."""
    if change.base is None or declared not in change.declared.commands:
        return None
    return await _problem(bench, await bench.version(change.base), declared)


def taken_together(results: Iterable[CheckResult]) -> CheckVerdict:
    """What the declared commands say as the tests of a project that has none of Python's."""
    verdicts = {result.verdict for result in results}
    for decisive in ("fail", "environment", "pass"):
        if decisive in verdicts:
            return decisive
    return "not_applicable"


async def _problem(
    bench: Bench, version: Version, declared: CheckCommand, before: _AsItWas | None = None
) -> _Problem | None:
    """Why it did not pass, if it did not; `before`: what to change of the project first."""
    limits = Limits(wall_seconds=declared.seconds, cpu_seconds=declared.seconds, processes=128, output_bytes=4 * MIB)
    async with bench.copy_of(version.tree) as project:
        if before is not None:
            for name in before.absent:
                (project / name).unlink()
            lay_over(before.base, before.kept, project)
        roots = [str(project / root) for root in ("src", ".") if (project / root).is_dir()]
        try:
            outcome = await run_command(bench, version, declared.command, project, limits, roots=roots)
        except NotThere as error:
            return _Problem(str(error))
    if outcome.exit_code == 0 and outcome.stopped is None:
        return None
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").strip().replace(f"{project}/", "")[-1500:]
    text = f"{ending(outcome)}\n{LAST_WORDS}\n{said}" if said else ending(outcome)
    return _Problem(text, late=outcome.stopped == "wall_clock")


def _as_it_was(change: Change, declared: CheckCommand) -> _AsItWas | None:
    """None where the change has everything that it judges by as the base has it, or the Spec lets that go."""
    if change.base is None:
        return None
    head, removable = change.head.tree, change.spec.removed_tests
    judged_by = [name for name in change.base.files if _judges(declared, name)]
    kept = [name for name in judged_by if name not in removable and not _same(change, name)]
    new = (name for name in head.files if name not in change.base.files)
    absent = [name for name in new if _steers(declared, name) or _stands_in(change, declared, name)]
    return _AsItWas(change.base, tuple(kept), tuple(absent)) if kept or absent else None


def _judges(declared: CheckCommand, name: str) -> bool:
    """By what steers it, or a file that its command line names."""
    return _steers(declared, name) or is_named(declared.command, name)


def _steers(declared: CheckCommand, name: str) -> bool:
    """As a test, or as the file that says what its program runs: one that is new may take an old one's place."""
    return _is_test(declared, name) or is_runner(declared.command, name)


def _stands_in(change: Change, declared: CheckCommand, name: str) -> bool:
    """For a module of Python's or of a locked package, whoever starts a Python here: `python -m pytest`, a script."""
    module = module_found_first(declared.command, name)
    return module is not None and (module in OF_PYTHON or change.head.environment.has(module))


def _is_test(declared: CheckCommand, name: str) -> bool:
    """Whether it is one of the declared tests, or lies in a folder of such; the project itself is no such folder."""
    places = (PurePosixPath(each) for each in declared.tests)
    return any(PurePosixPath(name).is_relative_to(place) for place in places if place.parts)


def _same(change: Change, name: str) -> bool:
    assert change.base is not None
    other = change.head.tree.path / name
    return other.is_file() and other.read_bytes() == (change.base.path / name).read_bytes()


def _shown(declared: CheckCommand) -> str:
    return " ".join(declared.command)[:200]
