"""The files of one worktree, as far as a model may see and change them."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from worksite.builder import process
from worksite.builder.domain.briefing import listing
from worksite.builder.domain.paths import BadPath, inside
from worksite.builder.syntax import MAX_SECONDS
from worksite.common.llm.agents import ToolFailed

MAX_FILE_BYTES = 1 << 20
_MAX_LINES, _MAX_HITS, _MAX_LINE = 400, 100, 300
_PROGRAM = Path(__file__).with_name("syntax.py")
_READABLE = (".py", ".json", ".toml")


@dataclass(frozen=True)
class Workbench:
    """`kept`: files that may be read and not changed. Every method raises ToolFailed with words for the model."""

    folder: Path
    kept: Collection[str] = ()
    kept_folders: tuple[str, ...] = ()
    changed: set[str] = field(default_factory=set[str])
    parse_seconds: float = MAX_SECONDS * 2

    def files(self) -> list[str]:
        """Every regular file but git's, sorted. A name that is no text is spelled with backslashes: it can be seen, and
        not be touched."""
        names = (os.fsencode(path.relative_to(self.folder)) for path in self._walk())
        return sorted(name.decode(errors="backslashreplace") for name in names)

    def listed(self, folder: str) -> str:
        """The files below a folder."""
        prefix = f"{_checked(folder)}/" if folder.strip("./") else ""
        return listing([path for path in self.files() if path.startswith(prefix)])

    def found(self, text: str) -> str:
        """Every line that holds the text, with its place."""
        hits = list[str]()
        for path in self.files():
            hits += [f"{path}:{n}: {line[:_MAX_LINE]}" for n, line in self._lines(path) if text in line]
            if len(hits) >= _MAX_HITS:
                return "\n".join([*hits[:_MAX_HITS], "… and more: search for something rarer"])
        return "\n".join(hits)

    def read(self, path: str, first_line: int) -> str:
        """A file from a line on, as far as one answer goes."""
        lines = self._text(path).splitlines()
        shown = lines[first_line - 1 : first_line - 1 + _MAX_LINES]
        return "\n".join((f"lines {first_line} to {first_line - 1 + len(shown)} of {len(lines)}", *shown))

    def write(self, path: str, content: str) -> str:
        """A whole file, new or in place of what is there."""
        target, data = self._writable(path), content.encode()
        if len(data) > MAX_FILE_BYTES:
            raise ToolFailed(f"{path} would have more than {MAX_FILE_BYTES} bytes")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise ToolFailed(f"{path} cannot be written: {error.strerror}") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        self.changed.add(_checked(path))
        return f"{path}: {len(content.splitlines())} lines"

    def edit(self, path: str, old: str, new: str) -> str:
        """Replace a text that stands in the file exactly once."""
        text = self._text(path)
        if "\r\n" in text and "\r\n" not in old:  # lines are shown to models without their ends
            old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
        count = text.count(old)
        if count != 1:
            advice = "read the file again" if count == 0 else "give more of the lines around it"
            raise ToolFailed(f"the old text stands in {path} {count} times, not once: {advice}")
        return self.write(path, text.replace(old, new))

    def delete(self, path: str) -> str:
        """Remove a file."""
        target = self._writable(path)
        self._text(path)
        target.unlink()
        self.changed.add(_checked(path))
        return f"{path} is gone"

    async def faults(self) -> str:
        """Which of the changed files are not well-formed; nothing is executed."""
        sources = {path: self._text(path) for path in sorted(self.changed) if self._is_checked(path)}
        try:
            finished = await process.run(
                [sys.executable, "-I", "-S", _PROGRAM],
                env={},
                cwd=self.folder.parent,
                stdin=json.dumps(sources).encode(),
                timeout_seconds=self.parse_seconds,
            )
        except (TimeoutError, process.OutputTooLarge) as error:
            raise ToolFailed(f"the files cannot be parsed: {error}") from error
        if finished.returncode != 0:
            raise ToolFailed("the files cannot be parsed: one of them is too deep or too large")
        return finished.output.decode(errors="replace").strip()

    def _is_checked(self, path: str) -> bool:
        return path.endswith(_READABLE) and (self.folder / path).is_file()

    def _walk(self) -> Iterator[Path]:
        for directory, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if name != ".git")
            for name in names:
                path = Path(directory, name)
                if name != ".git" and stat.S_ISREG(path.lstat().st_mode):
                    yield path

    def _lines(self, path: str) -> Iterator[tuple[int, str]]:
        try:
            yield from enumerate(self._text(path).splitlines(), 1)
        except ToolFailed:  # not a text
            return

    def _text(self, path: str) -> str:
        target = self._place(path)
        if not target.is_file():
            raise ToolFailed(f"there is no file {path}")
        if target.stat().st_size > MAX_FILE_BYTES:
            raise ToolFailed(f"{path} is too large to be read")
        data = target.read_bytes()
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise ToolFailed(f"{path} is not text") from error

    def _writable(self, path: str) -> Path:
        plain = _checked(path)
        if plain in self.kept or plain.startswith(self.kept_folders):
            raise ToolFailed(f"{path} may not be changed: it is a link, a submodule or an acceptance test")
        return self._place(path)

    def _place(self, path: str) -> Path:
        """No part of the way may be a link, whoever made it."""
        target = self.folder / _checked(path)
        for step in (target, *target.parents):
            if step == self.folder:
                return target
            if step.is_symlink():
                break
        raise ToolFailed(f"{path} leads through a link")


def _checked(path: str) -> str:
    try:
        return inside(path)
    except BadPath as error:
        raise ToolFailed(str(error)) from error
