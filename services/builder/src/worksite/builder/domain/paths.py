"""Which paths a model may name: only what is a file of the project for everybody, on every file system."""

from __future__ import annotations

import unicodedata

MAX_PATH_BYTES, MAX_NAME_BYTES, MAX_DEPTH = 1000, 255, 40
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_GITS_OWN = frozenset({".git", "git~1", ".gitattributes", ".gitmodules"})
"""The last two would have git run filters and fetch what nobody judged."""


class BadPath(ValueError):
    """The text says what is wrong with it."""


def inside(path: str) -> str:
    """The path in its plain form. Raises BadPath."""
    parts = [part for part in path.split("/") if part != "."]
    if path.startswith("/") or "\\" in path or ".." in parts or ":" in path:
        raise BadPath(f"{path!r} leads out of the project: give a path relative to its root, with '/'")
    if not parts or "" in parts or any(unicodedata.category(c) in _HIDDEN for c in path):
        raise BadPath(f"{path!r} is not the name of a file")
    if any(_folded(part) in _GITS_OWN for part in parts):
        raise BadPath(f"{path!r} belongs to git and cannot be touched")
    names = [len(part.encode()) for part in parts]
    if len(parts) > MAX_DEPTH or max(names) > MAX_NAME_BYTES or sum(names) + len(parts) > MAX_PATH_BYTES:
        raise BadPath(f"{path[:80]!r} is too long")
    return "/".join(parts)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().rstrip(". ")
