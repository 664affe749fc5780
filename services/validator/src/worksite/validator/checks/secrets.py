"""Secret scan: detect-secrets, ours, over every file."""

from __future__ import annotations

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.testing import test_files
from worksite.validator.checks.tool import Scan, judge_scan, run_tool
from worksite.validator.domain.locks import is_lock_input
from worksite.validator.domain.untrusted import read_json
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
        document, tests = read_json(outcome.result), test_files(tree)
        found = (_finding(each) for each in document["found"] if _counts(each, tests))
        silenced = document["silenced"]
        return Scan(tuple(found), f"{silenced} lines silenced by `pragma: allowlist`" if silenced else "")

    return await judge_scan(NAME, change, scan)


def _counts(entry: dict[str, object], tests: frozenset[str]) -> bool:
    path = str(entry["path"])
    return entry["kind"] not in _GUESSES or not (path in tests or is_lock_input(path))


def _finding(entry: dict[str, object]) -> Finding:
    """Without the secret itself: a report is read by many."""
    line = int(str(entry["line"]))
    return Finding(check=NAME, message=f"possible secret: {entry['kind']}", path=str(entry["path"]), line=line)
