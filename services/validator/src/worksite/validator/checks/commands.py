"""Checks that a project or its Spec declares as command lines: at head, and with the base's tests on head's code."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from worksite.common.messages import CheckCommand, CheckResult, CheckVerdict, Finding
from worksite.validator.bench import Bench, Change, Version
from worksite.validator.checks.result import Judged
from worksite.validator.command_line import NotThere, ending, run_command
from worksite.validator.domain.cases import LAST_WORDS
from worksite.validator.domain.runners import is_runner
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


async def command(bench: Bench, change: Change, declared: CheckCommand) -> Judged:
    """It must end with exit code 0, with the tests as they are and as they were.

    What fails at base too is reported, not charged, unless the Spec asks for it. Raises LauncherError.
    """
    problem = await _problem(bench, change.head, declared)
    before = _as_it_was(change, declared)
    if problem is None and before:
        problem = await _problem(bench, change.head, declared, before)
        problem = f"{before.told()}: {problem}" if problem else None
    if problem is None:
        return Judged("pass", f"{_shown(declared)} ended with exit code 0{' both ways' if before else ''}")
    finding = Finding(check=declared.name, message=f"{_shown(declared)} {problem}")
    if await _failed_before(bench, change, declared):
        return Judged("not_applicable", "it fails at base too", preexisting=(finding,))
    return Judged("fail", finding.message, (finding,))


async def _failed_before(bench: Bench, change: Change, declared: CheckCommand) -> bool:
    """Whether it is the project's own and failed at base already."""
    if change.base is None or declared not in change.declared.commands:
        return False
    return await _problem(bench, await bench.version(change.base), declared) is not None


def taken_together(results: Iterable[CheckResult]) -> CheckVerdict:
    """What the declared commands say as the tests of a project that has none of Python's."""
    verdicts = {result.verdict for result in results}
    for decisive in ("fail", "environment", "pass"):
        if decisive in verdicts:
            return decisive
    return "not_applicable"


async def _problem(
    bench: Bench, version: Version, declared: CheckCommand, before: _AsItWas | None = None
) -> str | None:
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
            return str(error)
    if outcome.exit_code == 0 and outcome.stopped is None:
        return None
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").strip()[-1500:]
    return f"{ending(outcome)}\n{LAST_WORDS}\n{said}" if said else ending(outcome)


def _as_it_was(change: Change, declared: CheckCommand) -> _AsItWas | None:
    """None where the change has everything that it judges by as the base has it, or the Spec lets that go."""
    if change.base is None:
        return None
    head, removable = change.head.tree, change.spec.removed_tests
    judged_by = [name for name in change.base.files if _judges(declared, name)]
    kept = [name for name in judged_by if name not in removable and not _same(change, name)]
    absent = [name for name in head.files if _steers(declared, name) and name not in change.base.files]
    return _AsItWas(change.base, tuple(kept), tuple(absent)) if kept or absent else None


def _judges(declared: CheckCommand, name: str) -> bool:
    """By what steers it, or a file that its command line names."""
    return _steers(declared, name) or name in {str(PurePosixPath(word)) for word in declared.command}


def _steers(declared: CheckCommand, name: str) -> bool:
    """As a test, or as the file that says what its program runs: one that is new may take an old one's place."""
    return _is_test(declared, name) or is_runner(declared.command, name)


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
