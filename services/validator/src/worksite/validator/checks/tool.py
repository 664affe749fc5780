"""Checks made by a tool that reads the tree: run at head and at base, charged with the difference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change
from worksite.validator.checks.result import CannotJudge, Judged
from worksite.validator.domain.baseline import compare_findings
from worksite.validator.sandbox import Job, Limits, Outcome
from worksite.validator.tree import Tree

_LIMITS = Limits(wall_seconds=300, cpu_seconds=120, output_bytes=16 << 20, result_bytes=16 << 20)


@dataclass(frozen=True)
class Scan:
    """What a tool said about one tree."""

    findings: tuple[Finding, ...]
    note: str = ""


class ToolOverwhelmed(CannotJudge):
    """The tool ran into the limits of its sandbox, by what it had to read.

    The wall clock is no such limit: whoever needs much time runs into that of the processor first, unless the machine
    is busy with something else.
    """


Scanner = Callable[[Tree], Awaitable[Scan]]


async def judge_scan(name: str, change: Change, scanner: Scanner) -> Judged:
    """Fail on findings that the base did not have; also where the change, and not the base, is too much for a tool."""
    base = await scanner(change.base) if change.base else Scan(())
    try:
        head = await scanner(change.head.tree)
    except ToolOverwhelmed as error:
        return Judged("fail", str(error), (Finding(check=name, message=str(error)),))
    charged, preexisting = compare_findings(head.findings, base.findings)
    said = [f"{len(charged)} new" if change.base else f"{len(charged)} found"]
    said += [f"{len(preexisting)} also at base"] if preexisting else []
    note = ", ".join(said) + (f"; {head.note}" if head.note else "")
    return Judged("fail" if charged else "pass", note, charged, preexisting)


async def run_tool(
    bench: Bench, tree: Tree, argv: Sequence[str], readable: Sequence[Path], accepted: Sequence[int] = (0, 1)
) -> Outcome:
    """Run a tool in a copy of `tree`. Raises CannotJudge unless it ends with an accepted exit code, ToolOverwhelmed
    where it was killed."""
    async with bench.copy_of(tree) as project:
        outcome = await bench.sandbox.run(Job(tuple(argv), project, tuple(readable), limits=_LIMITS))
    if outcome.exit_code not in accepted:
        ended = outcome.stopped or (f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}")
        said = (outcome.stderr or outcome.stdout).decode(errors="replace").strip()[-1000:]
        if outcome.stopped == "wall_clock":
            raise CannotJudge(f"the tool was not done after {_LIMITS.wall_seconds:.0f} s: is the machine very busy?")
        failure = ToolOverwhelmed if outcome.stopped or outcome.signal else CannotJudge
        raise failure(": ".join(part for part in (f"{Path(argv[0]).name} did not do its work ({ended})", said) if part))
    return outcome
