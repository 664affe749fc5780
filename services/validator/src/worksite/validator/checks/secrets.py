"""Secret scan: detect-secrets, ours, over every file."""

from __future__ import annotations

import json

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, is_test, judge_scan, run_tool
from worksite.validator.domain.locks import is_lock_input
from worksite.validator.tree import Tree

NAME = "secrets"
_GUESSES = {"Secret Keyword", "Base64 High Entropy String", "Hex High Entropy String", "Basic Auth Credentials"}
"""Detectors that judge by looks: made-up credentials in tests and hashes in locks look the same."""


async def secrets(bench: Bench, change: Change) -> Judged:
    """New findings fail; guesses count outside of tests and lock files only."""

    async def scan(tree: Tree) -> Scan:
        program = bench.tools.program("scan_secrets.py")
        argv = [str(bench.sandbox.python), "-I", "-S", "-B", str(program), str(bench.tools.detect_secrets)]
        outcome = await run_tool(bench, tree, argv, [bench.tools.detect_secrets, program], accepted=(0,))
        found = (_finding(each) for each in json.loads(outcome.result) if _counts(each))
        return Scan(tuple(found))

    return await judge_scan(change, scan)


def _counts(entry: dict[str, object]) -> bool:
    path = str(entry["path"])
    return entry["kind"] not in _GUESSES or not (is_test(path) or is_lock_input(path))


def _finding(entry: dict[str, object]) -> Finding:
    """Without the secret itself: a report is read by many."""
    line = int(str(entry["line"]))
    return Finding(check=NAME, message=f"possible secret: {entry['kind']}", path=str(entry["path"]), line=line)
