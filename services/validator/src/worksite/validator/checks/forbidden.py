"""Forbidden changes: what no change may bring, because nobody could review or judge it."""

from __future__ import annotations

from worksite.common.messages import Finding
from worksite.validator.bench import Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, judge_scan
from worksite.validator.tree import Tree

NAME = "forbidden-changes"
_COMPILED = (".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".exe", ".whl", ".egg", ".jar", ".class")
_MAGIC = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


async def forbidden(change: Change) -> Judged:
    """Links, submodules, paths out of the project, files over the size cap, compiled code."""
    return await judge_scan(NAME, change, _scan)


async def _scan(tree: Tree) -> Scan:
    refused = [Finding(check=NAME, message=each.reason, path=each.path) for each in tree.refused]
    compiled = [name for name in tree.files if _is_compiled(tree, name)]
    message = "is compiled code, which cannot be reviewed"
    return Scan((*refused, *(Finding(check=NAME, message=message, path=name) for name in compiled)))


def _is_compiled(tree: Tree, name: str) -> bool:
    if name.endswith(_COMPILED):
        return True
    with (tree.path / name).open("rb") as file:
        return file.read(4).startswith(_MAGIC)
