"""Checks that a project or its Spec declares as command lines: at head, and with the base's tests on head's code."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from worksite.common.messages import CheckCommand, CheckResult, CheckVerdict, Finding
from worksite.validator.bench import Bench, Change, Version
from worksite.validator.checks.result import Judged
from worksite.validator.command_line import NotThere, ending, run_command
from worksite.validator.domain.cases import LAST_WORDS
from worksite.validator.sandbox import Limits
from worksite.validator.selfreport.run import lay_over
from worksite.validator.tree import Tree

MIB = 1 << 20


async def command(bench: Bench, change: Change, declared: CheckCommand) -> Judged:
    """It must end with exit code 0, with the tests as they are and as they were.

    What fails at base too is reported, not charged, unless the Spec asks for it. Raises LauncherError.
    """
    problem = await _problem(bench, change.head, declared)
    kept = _kept(change, declared)
    if problem is None and kept:
        problem = await _problem(bench, change.head, declared, change.base, kept)
        problem = f"with the base's {', '.join(kept)[:200]}: {problem}" if problem else None
    if problem is None:
        return Judged("pass", f"{_shown(declared)} ended with exit code 0{' both ways' if kept else ''}")
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
    bench: Bench, version: Version, declared: CheckCommand, base: Tree | None = None, kept: Iterable[str] = ()
) -> str | None:
    """Why it did not pass, if it did not; `kept` are files of `base` to put in place of the project's."""
    limits = Limits(wall_seconds=declared.seconds, cpu_seconds=declared.seconds, processes=128, output_bytes=4 * MIB)
    async with bench.copy_of(version.tree) as project:
        if base is not None:
            lay_over(base, kept, project)
        roots = [str(project / root) for root in ("src", ".") if (project / root).is_dir()]
        try:
            outcome = await run_command(bench, version, declared.command, project, limits, roots=roots)
        except NotThere as error:
            return str(error)
    if outcome.exit_code == 0 and outcome.stopped is None:
        return None
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").strip()[-1500:]
    return f"{ending(outcome)}\n{LAST_WORDS}\n{said}" if said else ending(outcome)


def _kept(change: Change, declared: CheckCommand) -> list[str]:
    """The base's files by which it judges, where the change has others and the Spec does not let them go."""
    if change.base is None:
        return []
    named = [*declared.tests, *declared.command]
    mine = [name for name in change.base.files if any(PurePosixPath(name).is_relative_to(each) for each in named)]
    return [name for name in mine if name not in change.spec.removed_tests and not _same(change, name)]


def _same(change: Change, name: str) -> bool:
    assert change.base is not None
    other = change.head.tree.path / name
    return other.is_file() and other.read_bytes() == (change.base.path / name).read_bytes()


def _shown(declared: CheckCommand) -> str:
    return " ".join(declared.command)[:200]
