"""What a folder leaves out: hidden files, dependencies, and what its `.gitignore` files say."""

from __future__ import annotations

from pathlib import Path

from pathspec import GitIgnoreSpec
from worksite.rag.opening import opened

GITIGNORE = ".gitignore"
_DEPENDENCIES = {"node_modules", "__pycache__"}
_MOST_BYTES = 1 << 20


class Ignored:
    """The rules of one root as they are now; make a new one to see changes. Rules above the root do not count."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._specs: dict[Path, GitIgnoreSpec | None] = {}
        self._folders: dict[Path, bool] = {root: False}

    def depth_of(self, path: Path) -> int:
        """How many folders a path lies in, below the root."""
        return len(path.parts) - len(self._root.parts)

    def leaves_out(self, path: Path, is_folder: bool) -> bool:
        """Is this path left out, or a folder that it lies in? It must be below the root."""
        around = [*path.parents][: self.depth_of(path)]
        for folder in reversed(around):
            if folder not in self._folders:
                self._folders[folder] = self._is_left_out(folder, is_folder=True)
            if self._folders[folder]:
                return True
        return path != self._root and self._is_left_out(path, is_folder)

    def _is_left_out(self, path: Path, is_folder: bool) -> bool:
        if is_outside_by_name(path.name):
            return True
        for folder in [*path.parents][: self.depth_of(path)]:  # the innermost file that says something is right
            if (spec := self._spec(folder)) is not None:
                name = path.relative_to(folder).as_posix() + ("/" if is_folder else "")
                if (said := spec.check_file(name).include) is not None:
                    return said
        return False

    def _spec(self, folder: Path) -> GitIgnoreSpec | None:
        if folder not in self._specs:
            self._specs[folder] = _read(self._root, folder / GITIGNORE)
        return self._specs[folder]


def is_outside_by_name(name: str) -> bool:
    """Hidden files and folders, and those that hold other people's code, whatever the rules say."""
    return name.startswith(".") or name in _DEPENDENCIES


def _read(root: Path, file: Path) -> GitIgnoreSpec | None:
    """None where there are no rules; those that nobody can read are none."""
    try:
        with opened(root, file) as found:
            data = found.read(_MOST_BYTES + 1)
        return (
            GitIgnoreSpec.from_lines(data.decode(errors="replace").splitlines()) if len(data) <= _MOST_BYTES else None
        )
    except (OSError, ValueError):
        return None
