"""Lint: ruff, ours, with the configuration that the project had before the change."""

from __future__ import annotations

import os
import shutil
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from worksite.common.messages import Finding
from worksite.validator.bench import Bench, Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, judge_scan, run_tool
from worksite.validator.domain.untrusted import read_json
from worksite.validator.tree import Tree

NAME = "lint"
# What a project that has no rules is held to: faults, not style. The set is the one with which GitHub's workflow for
# Python stops a build: syntax errors, comparisons and formats that cannot be meant, undefined names.
_FAULTS = ("--isolated", "--select=E9,F63,F7,F82")
_OWN_FILES = ("ruff.toml", ".ruff.toml")


async def lint(bench: Bench, change: Change) -> Judged:
    """New findings fail, and so do changed rules; a new project brings its own, or is searched for faults only."""

    async def scan(tree: Tree) -> Scan:
        async with _with_rules(bench, tree, change.base or tree) as configured:
            return Scan((*await _ruff(bench, configured), *_changed_rules(tree, change.base or tree)))

    return await judge_scan(NAME, change, scan)


async def _ruff(bench: Bench, tree: Tree) -> tuple[Finding, ...]:
    ruff = bench.tools.ruff / "bin" / "ruff"
    options = ("--no-cache", "--no-fix", "--no-respect-gitignore", "--output-format=json")
    options += () if _has_rules(tree) else _FAULTS
    outcome = await run_tool(bench, tree, [str(ruff), "check", *options, "."], [bench.tools.ruff])
    return tuple(_finding(each) for each in read_json(outcome.stdout or b"[]"))


@asynccontextmanager
async def _with_rules(bench: Bench, tree: Tree, source: Tree) -> AsyncIterator[Tree]:
    """`tree` with the TOML files of `source`: any of them may be one that ruff's configuration extends."""
    if source is tree:
        yield tree
        return
    async with bench.copy_of(tree) as copy:
        kept = [name for name in tree.files if not name.endswith(".toml")]
        for name in set(tree.files) - set(kept):
            (copy / name).unlink()
        laid = [name for name in source.files if name.endswith(".toml") and _lay(source.path, copy, name)]
        yield replace(tree, path=copy, files=tuple(sorted((*kept, *laid))))


def _lay(source: Path, copy: Path, name: str) -> bool:
    """False where the tree has something else in this place, so that nothing could be configured there."""
    try:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, copy / name)
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        return False
    return True


def _changed_rules(tree: Tree, base: Tree) -> list[Finding]:
    ours, theirs = _rules(base), _rules(tree)
    message = "the rules of ruff were changed; the change was judged by the rules of the base"
    return [Finding(check=NAME, message=message, path=name) for name in ours if theirs.get(name) != ours[name]]


def _has_rules(tree: Tree) -> bool:
    """A file of ruff's own counts even where it cannot be read, so that ruff says so."""
    return any(PurePosixPath(name).name in _OWN_FILES for name in tree.files) or bool(_rules(tree))


def _rules(tree: Tree) -> dict[str, Any]:
    """The configuration of ruff, file by file."""
    found = {name: _section(tree, name) for name in tree.files if name.endswith(".toml")}
    return {name: section for name, section in found.items() if section is not None}


def _section(tree: Tree, name: str) -> Any:
    kind = PurePosixPath(name).name
    if kind not in (*_OWN_FILES, "pyproject.toml"):
        return None
    try:
        document = tomllib.loads((tree.path / name).read_text(errors="replace"))
        return document if kind in _OWN_FILES else document.get("tool", {}).get("ruff")
    except (tomllib.TOMLDecodeError, AttributeError, RecursionError):
        return None


def _finding(entry: dict[str, object]) -> Finding:
    location = entry["location"]
    line = location["row"] if isinstance(location, dict) else None
    path = _in_project(str(entry["filename"]))
    return Finding(check=NAME, message=f"{entry['code'] or 'syntax'} {entry['message']}", path=path, line=line)


def _in_project(filename: str) -> str:
    """ruff names files by absolute path; the project is the directory `project` of a workspace."""
    return filename.split(f"{os.sep}project{os.sep}", 1)[-1]
