"""Types: the project's own mypy with its own configuration, where it has both. Its plugins are the candidate's code."""

from __future__ import annotations

import configparser
import tomllib
from typing import Any, cast

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change, Version, python_tool
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, judge_scan, run_tool
from worksite.validator.domain.untrusted import read_json
from worksite.validator.tree import Tree

NAME = "types"
_SOURCES = ("mypy.ini", ".mypy.ini", "setup.cfg", "pyproject.toml")
_TARGETS = {"files", "packages", "modules"}


async def types(bench: Bench, change: Change) -> Judged:
    """New errors fail, and so does an end to checking; not applicable where the project never checked its types."""
    absent = _absent(change.head)
    if absent is not None:
        return await _no_longer(bench, change, absent)

    async def scan(tree: Tree) -> Scan:
        version = change.head if tree is change.head.tree else await bench.version(tree)
        return await _mypy(bench, version)

    return await judge_scan(NAME, change, scan)


def _absent(version: Version) -> str | None:
    """What the types cannot be checked for the lack of."""
    if mypy_settings(version.tree) is None:
        return "the project does not configure mypy"
    return None if version.environment.has("mypy") else "the project configures mypy, but its lock does not have it"


async def _no_longer(bench: Bench, change: Change, absent: str) -> Judged:
    if change.base is None or mypy_settings(change.base) is None or _absent(await bench.version(change.base)):
        return Judged("not_applicable", absent)
    said = f"the base checked its types with mypy, the change ends that: {absent}"
    return Judged("fail", said, (Finding(check=NAME, message=said),))


async def _mypy(bench: Bench, version: Version) -> Scan:
    packages = version.environment.path
    if packages is None or _absent(version):
        return Scan(())
    arguments = ["--output=json", "--no-error-summary", "--cache-dir=/dev/null"]
    arguments += [] if _TARGETS & set(mypy_settings(version.tree) or {}) else ["."]
    statements = f"from mypy.main import main; main(args={arguments!r}, stdout=sys.stdout, stderr=sys.stderr)"
    outcome = await run_tool(bench, version.tree, python_tool(bench, [packages], statements), [packages])
    return Scan(mypy_findings(outcome.stdout))


def mypy_settings(tree: Tree) -> dict[str, Any] | None:
    """The `[mypy]` section in mypy's own order of precedence; None where there is none that can be read."""
    sections = (_section(tree, name) for name in _SOURCES if name in tree.files)
    return next((found for found in sections if found is not None), None)


def _section(tree: Tree, name: str) -> dict[str, Any] | None:
    text = (tree.path / name).read_text(errors="replace")
    try:
        if name == "pyproject.toml":
            found = tomllib.loads(text).get("tool", {}).get("mypy")
            return cast("dict[str, Any]", found) if isinstance(found, dict) else None
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(text)
        return dict(parser["mypy"]) if parser.has_section("mypy") else None
    except (tomllib.TOMLDecodeError, configparser.Error, AttributeError, RecursionError):
        return None


def mypy_findings(output: bytes) -> tuple[Finding, ...]:
    """The errors in mypy's output, one JSON object a line; a line that only begins like one is a finding too."""
    findings = (_finding(line) for line in output.splitlines() if line.startswith(b"{"))
    return tuple(each for each in findings if each is not None)


def _finding(line: bytes) -> Finding | None:
    try:
        entry = read_json(line)
        if entry.get("severity") != "error":
            return None
        message = f"{entry['message']} [{entry.get('code')}]"
        return Finding(check=NAME, message=message, path=str(entry["file"]), line=int(entry["line"]) or None)
    except (LookupError, OverflowError, TypeError, ValueError):
        said = line[:200].decode(errors="replace")
        return Finding(check=NAME, message=f"a plugin made mypy print what is none of its messages: {said}")
