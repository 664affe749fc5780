"""Types: the project's own mypy with its own configuration, where it has both. Its plugins are the candidate's code."""

from __future__ import annotations

import configparser
import json
import tomllib
from typing import Any

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change, Version, python_tool
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, judge_scan, run_tool
from worksite.validator.tree import Tree

NAME = "types"
_TARGETS = {"files", "packages", "modules"}


async def types(bench: Bench, change: Change) -> Judged:
    """New errors fail; not applicable where the project does not check its types."""
    settings = mypy_settings(change.head.tree)
    if settings is None:
        return Judged("not_applicable", "the project does not configure mypy")
    if not change.head.environment.has("mypy"):
        return Judged("not_applicable", "the project configures mypy, but its lock does not have it")

    async def scan(tree: Tree) -> Scan:
        version = change.head if tree is change.head.tree else await bench.version(tree)
        return await _mypy(bench, version)

    return await judge_scan(change, scan)


async def _mypy(bench: Bench, version: Version) -> Scan:
    settings = mypy_settings(version.tree)
    packages = version.environment.path
    if settings is None or packages is None or not version.environment.has("mypy"):
        return Scan(())
    arguments = ["--output=json", "--no-error-summary", "--cache-dir=/dev/null"]
    arguments += [] if _TARGETS & set(settings) else ["."]
    statements = f"from mypy.main import main; main(args={arguments!r}, stdout=sys.stdout, stderr=sys.stderr)"
    outcome = await run_tool(bench, version.tree, python_tool(bench, [packages], statements), [packages])
    lines = [json.loads(line) for line in outcome.stdout.splitlines() if line.startswith(b"{")]
    return Scan(tuple(_finding(each) for each in lines if each.get("severity") == "error"))


def mypy_settings(tree: Tree) -> dict[str, Any] | None:
    """The `[mypy]` section in mypy's own order of precedence; None where there is none."""
    for name, section in (("mypy.ini", "mypy"), (".mypy.ini", "mypy"), ("setup.cfg", "mypy")):
        parser = configparser.RawConfigParser(strict=False)
        if name in tree.files:
            parser.read_string((tree.path / name).read_text(errors="replace"))
            if parser.has_section(section):
                return dict(parser[section])
    if "pyproject.toml" not in tree.files:
        return None
    try:
        return tomllib.loads((tree.path / "pyproject.toml").read_text(errors="replace")).get("tool", {}).get("mypy")
    except tomllib.TOMLDecodeError:
        return None


def _finding(entry: dict[str, Any]) -> Finding:
    message = f"{entry['message']} [{entry['code']}]"
    return Finding(check=NAME, message=message, path=str(entry["file"]), line=int(entry["line"]) or None)
