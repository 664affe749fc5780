"""The layout of a state directory has a number, so that no version works on what it does not understand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

FORMAT = 1
FORMAT_FILE = "format"
_OURS = {FORMAT_FILE, "nats", "wheelhouse"}
"""A directory with any of these was made by Worksite: the first number came after the first directories."""
_NEUTRAL = {"cli", "lock", "stack.json", "worksite.log"}


def problem(root: Path) -> str | None:
    """Why a stack cannot use `root`, which need not exist, and what to do; None when it can. Raises OSError."""
    if not root.exists():
        return None
    if not root.is_dir():
        return f"{root} is no directory: move it away, or choose another with WORKSITE_STATE"
    names = {path.name for path in root.iterdir()}
    if names - _NEUTRAL and not names & _OURS:
        return f"{root} holds other things and was not made by Worksite: choose another directory with WORKSITE_STATE"
    return _foreign_format(root) or _not_ours(root)


def _foreign_format(root: Path) -> str | None:
    file = root / FORMAT_FILE
    found = file.read_text().strip() if file.exists() else str(FORMAT)
    if found == str(FORMAT):
        return None
    advice = f"start anew beside it (mv {root} {root}.old), or use the version that made it"
    if not found.isdecimal():
        return f"{file} is damaged, it holds {found[:20]!r} where this version expects {FORMAT}: {advice}"
    age = "a newer" if int(found) > FORMAT else "an older"
    return f"{root} was made by {age} version of Worksite (format {found}, this one reads {FORMAT}): {advice}"


def _not_ours(root: Path) -> str | None:
    """A stack that somebody else ran here, root for example, leaves files that we cannot write."""
    me = os.getuid()
    for path in _first_levels(root):
        owner = path.lstat().st_uid
        if owner != me and not os.access(path, os.R_OK | os.W_OK):
            return f"{path} belongs to user {owner}, not to you ({me}): chown -R {root} to you, or set WORKSITE_STATE"
    return None


def _first_levels(root: Path) -> Iterator[Path]:
    """The root and two levels below; links, wheels and what the sandbox owns need not be ours."""
    yield root
    for path in root.iterdir():
        if path.is_symlink() or path.name == "wheelhouse":
            continue
        yield path
        if path.is_dir() and path.name != "validator" and os.access(path, os.R_OK | os.X_OK):
            yield from (below for below in path.iterdir() if not below.is_symlink())
