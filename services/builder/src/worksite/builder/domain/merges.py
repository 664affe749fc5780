"""What `git merge-tree` says, and names that a merge puts side by side although some file systems take them for one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from worksite.builder.domain.archives import folded
from worksite.builder.domain.trees import parse_names

_CLEAN = b"1"
_SIDE = re.compile(r"~[0-9a-f]{40}(_\d+)?$")
"""What git adds to a name where a file and a folder, or things of two kinds, have the same."""


@dataclass(frozen=True)
class TriedMerge:
    """The merged tree, which is to be used only where the merge is `clean`; `files`: where the sides contradict."""

    tree: str
    clean: bool
    files: tuple[str, ...] = ()


def parse_merge(output: bytes) -> TriedMerge:
    """Read what one merge of `git merge-tree --stdin --name-only --no-messages` writes."""
    status, tree, paths = output.split(b"\0", 2)
    files = dict.fromkeys(_SIDE.sub("", path) for path in parse_names(paths))
    return TriedMerge(tree.decode(), status == _CLEAN, tuple(files))


def clashes(one: Iterable[str], other: Iterable[str]) -> tuple[str, ...]:
    """The new paths of the one side that differ from those of the other in case or Unicode form only, in a folder's
    name too. git would keep both, and a file system that folds names would lose one of them."""
    written = {folded(name): name for path in other for name in _upwards(path)}
    return tuple(path for path in one if any(written.get(folded(name), name) != name for name in _upwards(path)))


def _upwards(path: str) -> list[str]:
    """The path and the folders that it lies in."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
