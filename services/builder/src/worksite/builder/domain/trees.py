"""The entries of a git tree, and how a zip archive shows them."""

from __future__ import annotations

from dataclasses import dataclass

_SYMLINK, _GITLINK = "120000", "160000"


@dataclass(frozen=True)
class TreeEntry:
    """One file, link or submodule of a tree; `size` in bytes, 0 for a submodule."""

    mode: str
    sha: str
    size: int
    path: str

    @property
    def is_file(self) -> bool:
        return not self.is_symlink and not self.is_submodule

    @property
    def is_symlink(self) -> bool:
        return self.mode == _SYMLINK

    @property
    def is_submodule(self) -> bool:
        return self.mode == _GITLINK


def parse_tree(listing: bytes) -> list[TreeEntry]:
    """Read `git ls-tree -r -l -z`, sorted by path. Names that are not UTF-8 are shown with escapes."""
    return sorted((_entry(record) for record in listing.split(b"\0") if record), key=lambda entry: entry.path)


def parse_names(listing: bytes) -> list[str]:
    """Read paths that end in NUL, sorted. Names that are not UTF-8 are shown with escapes."""
    return sorted(record.decode(errors="backslashreplace") for record in listing.split(b"\0") if record)


def stays_inside(link: str, target: str) -> bool:
    """Does a symbolic link at `link` point into the tree it lies in?

    Climbing is allowed at the start only: there the way leads through real directories, later it may not.
    """
    parts = [part for part in target.split("/") if part not in {"", "."}]
    climbs = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    if target.startswith("/") or climbs > link.count("/"):
        return False
    return not {"..", ".git"} & set(parts[climbs:])


def _entry(record: bytes) -> TreeEntry:
    attributes, _, path = record.partition(b"\t")
    mode, _, sha, size = attributes.decode().split()
    return TreeEntry(mode, sha, 0 if size == "-" else int(size), path.decode(errors="backslashreplace"))
