"""Lint: ruff, ours, with the project's own configuration."""

from __future__ import annotations

import json
import os

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, judge_scan, run_tool
from worksite.validator.tree import Tree

NAME = "lint"


async def lint(bench: Bench, change: Change) -> Judged:
    """New findings fail."""

    async def scan(tree: Tree) -> Scan:
        ruff = bench.tools.ruff / "bin" / "ruff"
        argv = [str(ruff), "check", "--no-cache", "--output-format=json", "."]
        outcome = await run_tool(bench, tree, argv, [bench.tools.ruff])
        return Scan(tuple(_finding(each) for each in json.loads(outcome.stdout or b"[]")))

    return await judge_scan(change, scan)


def _finding(entry: dict[str, object]) -> Finding:
    location = entry["location"]
    line = location["row"] if isinstance(location, dict) else None
    path = _in_project(str(entry["filename"]))
    return Finding(check=NAME, message=f"{entry['code'] or 'syntax'} {entry['message']}", path=path, line=line)


def _in_project(filename: str) -> str:
    """ruff names files by absolute path; the project is the directory `project` of a workspace."""
    return filename.split(f"{os.sep}project{os.sep}", 1)[-1]
