"""What a folder leaves out: hidden files, dependencies, and what its `.gitignore` files say."""

from __future__ import annotations

from pathlib import Path

from pathspec import GitIgnoreSpec

GITIGNORE = ".gitignore"
_DEPENDENCIES = {"node_modules", "__pycache__"}
_MOST_BYTES = 1 << 20


class Ignored:
    """The rules of one root as they are now; make a new one to see changes. Rules above the root do not count."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._specs: dict[Path, GitIgnoreSpec | None] = {}

    def leaves_out(self, path: Path, is_folder: bool) -> bool:
        """Is this path left out, or a folder that it lies in? It must be below the root."""
        parts = path.relative_to(self._root).parts
        return any(
            self._is_left_out(self._root.joinpath(*parts[:depth]), is_folder or depth < len(parts))
            for depth in range(1, len(parts) + 1)
        )

    def _is_left_out(self, path: Path, is_folder: bool) -> bool:
        if is_outside_by_name(path.name):
            return True
        verdict = False
        for folder in reversed(path.relative_to(self._root).parents):  # the innermost file has the last word
            if (spec := self._spec(self._root / folder)) is not None:
                name = path.relative_to(self._root / folder).as_posix() + ("/" if is_folder else "")
                said = spec.check_file(name).include
                verdict = verdict if said is None else said
        return verdict

    def _spec(self, folder: Path) -> GitIgnoreSpec | None:
        if folder not in self._specs:
            self._specs[folder] = _read(folder / GITIGNORE)
        return self._specs[folder]


def is_outside_by_name(name: str) -> bool:
    """Hidden files and folders, and those that hold other people's code, whatever the rules say."""
    return name.startswith(".") or name in _DEPENDENCIES


def _read(file: Path) -> GitIgnoreSpec | None:
    """None where there are no rules; those that nobody can read are none."""
    try:
        if file.is_symlink() or file.stat().st_size > _MOST_BYTES:
            return None
        return GitIgnoreSpec.from_lines(file.read_text(errors="replace").splitlines())
    except (OSError, ValueError):
        return None
