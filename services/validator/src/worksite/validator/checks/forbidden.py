"""Forbidden changes: what no change may bring, because nobody could review or judge it."""

from __future__ import annotations

from collections.abc import Iterator

from worksite.common.messages import Finding
from worksite.validator.bench import Change
from worksite.validator.checks.result import Judged
from worksite.validator.checks.tool import Scan, judge_scan
from worksite.validator.declared import fault_of, rewritten
from worksite.validator.domain.declaration import FILE
from worksite.validator.tree import Tree

NAME = "forbidden-changes"
_COMPILED = (".pyc", ".pyo", ".so", ".pyd", ".dll", ".dylib", ".exe", ".whl", ".egg", ".jar", ".class")
_MAGIC = (b"\x7fELF", b"MZ", b"\xfe\xed\xfa", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe")


async def forbidden(change: Change) -> Judged:
    """Links, submodules, paths out of the project, files over the size cap, compiled code, a declaration that cannot be
    read; and of an agent, whatever changes are judged by."""

    async def scan(tree: Tree) -> Scan:
        found = _found(tree)
        return Scan((*found, *_overreach(change)) if tree is change.head.tree else found)

    return await judge_scan(NAME, change, scan)


def _found(tree: Tree) -> tuple[Finding, ...]:
    refused = [Finding(check=NAME, message=each.reason, path=each.path) for each in tree.refused]
    compiled = [name for name in tree.files if _is_compiled(tree, name)]
    message = "is compiled code, which cannot be reviewed"
    fault = fault_of(tree)
    unread = [Finding(check=NAME, message=f"cannot be read and counts as none: {fault}", path=FILE)] if fault else []
    return (*refused, *(Finding(check=NAME, message=message, path=name) for name in compiled), *unread)


def _overreach(change: Change) -> Iterator[Finding]:
    """A person may change what the next change is judged by, which does not count for this one; an agent may not."""
    message = "changes are judged by this file, and the Spec does not name it among those to be changed"
    return (Finding(check=NAME, message=message, path=name) for name in rewritten(change) if not change.reviewed)


def _is_compiled(tree: Tree, name: str) -> bool:
    if name.endswith(_COMPILED):
        return True
    with (tree.path / name).open("rb") as file:
        return file.read(4).startswith(_MAGIC)
