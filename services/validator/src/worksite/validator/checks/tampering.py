"""Traces of cheating: named beside a failure, never a verdict of their own, because each has honest uses too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, judge_scan, run_tool
from worksite.validator.declared import rewritten
from worksite.validator.domain.untrusted import read_json
from worksite.validator.tree import Tree

NAME = "tampering"


async def tampering(bench: Bench, change: Change) -> Judged:
    """A pass with what the change brought as findings; `domain.judgement.weighed` says what they are worth."""

    async def scan(tree: Tree) -> Scan:
        program = bench.tools.program("scan_tampering.py")
        argv = [str(bench.sandbox.python), "-I", "-S", "-B", str(program)]
        outcome = await run_tool(bench, tree, argv, [program], accepted=(0,))
        found = map(_finding, read_json(outcome.result))
        return Scan((*found, *_rewritten(change)) if tree is change.head.tree else tuple(found))

    judged = await judge_scan(NAME, change, scan)
    note = f"{judged.note}, which counts where something fails" if judged.findings else judged.note
    return replace(judged, verdict="pass", note=note, preexisting=())


def _rewritten(change: Change) -> Iterator[Finding]:
    """Of an agent this is forbidden. Without a base nothing else than the change itself could have it."""
    names = rewritten(change) if change.base and change.reviewed else ()
    message = "rewrites what changes are judged by; this one was judged by what the base has"
    return (Finding(check=NAME, message=message, path=name) for name in names)


def _finding(entry: dict[str, object]) -> Finding:
    return Finding(check=NAME, message=str(entry["trace"]), path=str(entry["path"]), line=int(str(entry["line"])))
