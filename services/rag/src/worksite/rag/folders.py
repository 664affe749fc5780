"""Folders of files, as they are now: which files count, and what is in one."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from worksite.rag.domain.documents import Unindexable
from worksite.rag.domain.formats import Source, source_of
from worksite.rag.ignoring import Ignored
from worksite.rag.opening import NotRegular, opened

MAX_FILE_BYTES = 2 << 20
"""Larger texts are generated rather than written: refused instead of filling the index."""
MAX_CONVERTED_BYTES = 20 << 20
"""Of a file that is converted to text first: most of it is pictures and fonts."""

DEEPEST = 100
"""Folders below folders that are looked into."""

Stamp = tuple[int, int, int]
"""Modification time (ns), size and inode: the same ones mean, as a rule, the same content."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What was read of a file."""

    source: Source
    data: bytes
    updated_at: datetime

    @property
    def digest(self) -> bytes:
        """Equal for equal contents."""
        return hashlib.sha256(self.data).digest()


@dataclass(frozen=True, slots=True)
class Scan:
    """The files that count, and the folders that could not be looked into, with the reason."""

    files: tuple[Path, ...]
    unreadable: dict[Path, str]


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder whose files every tenant may search. Links are never followed, so nothing outside of it is read."""

    root: Path

    def path_of(self, file: Path) -> str:
        """The path in the index: POSIX, beginning with the folder's name; what is not UTF-8 is escaped."""
        return os.fsencode(Path(self.root.name, file.relative_to(self.root))).decode(errors="backslashreplace")

    def scan(self, at: Path) -> Scan:
        """The files that count at or below a path inside the root, in order. Raises NotADirectoryError for the root."""
        try:
            is_folder = stat.S_ISDIR(self.root.stat().st_mode)
        except OSError as error:
            raise NotADirectoryError(f"{self.root} is not a folder: {error.strerror}") from error
        if not is_folder:
            raise NotADirectoryError(f"{self.root} is not a folder")
        unreadable: dict[Path, str] = {}
        if self._has_link(at):
            return Scan((), unreadable)
        ignored = Ignored(self.root)
        return Scan(tuple(_files(at, ignored, unreadable)), unreadable)

    def _has_link(self, at: Path) -> bool:
        below = [at, *at.parents][: len(at.relative_to(self.root).parts)]
        return ".." in at.parts or any(path.is_symlink() for path in below)


def _files(at: Path, ignored: Ignored, unreadable: dict[Path, str]) -> Iterator[Path]:
    try:
        is_folder = stat.S_ISDIR(at.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        unreadable[at] = error.strerror or str(error)
        return
    if ignored.leaves_out(at, is_folder):
        return
    if not is_folder:
        yield from [at] if source_of(at.name) else []
        return
    waiting = [at]
    while waiting:  # not recursive: the depth of a tree is up to whoever made it
        folder = waiting.pop()
        try:
            entries = _entries(folder, ignored)
        except OSError as error:
            unreadable[folder] = error.strerror or str(error)
            continue
        yield from (Path(entry) for entry in entries if not entry.is_dir() and source_of(entry.name))
        waiting += (Path(entry) for entry in reversed(entries) if entry.is_dir())


def _entries(folder: Path, ignored: Ignored) -> list[os.DirEntry[str]]:
    """What counts of a folder, in order."""
    if ignored.depth_of(folder) > DEEPEST:
        raise OSError(errno.ELOOP, f"it lies in more than {DEEPEST} folders")
    with os.scandir(folder) as found:
        entries = sorted((entry for entry in found if not entry.is_symlink()), key=lambda entry: entry.name)
    return [entry for entry in entries if not ignored.leaves_out(Path(entry), is_folder=entry.is_dir())]


def stamp_of(file: Path) -> Stamp:
    """Raises OSError."""
    about = file.lstat()
    return about.st_mtime_ns, about.st_size, about.st_ino


def read(root: Path, file: Path) -> Contents:
    """Read a whole file below a root. Raises OSError, and Unindexable for what is not a file of ours or too large."""
    if (source := source_of(file.name)) is None:
        raise Unindexable("its name says nothing that we know")
    most = MAX_CONVERTED_BYTES if source.is_converted else MAX_FILE_BYTES
    try:
        with opened(root, file) as found:
            about = os.fstat(found.fileno())
            data = found.read(most + 1)
    except NotRegular as error:
        raise Unindexable("it is no regular file") from error
    if len(data) > most:
        raise Unindexable(f"it has {about.st_size} bytes, more than the {most} that a file may have")
    return Contents(source, data, datetime.fromtimestamp(about.st_mtime, UTC))


def decoded(data: bytes) -> str:
    """The text, with its line ends as they are. Raises Unindexable for what is none."""
    if (at := data.find(0)) >= 0:
        raise Unindexable(f"it is not text: a zero byte at byte {at}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Unindexable(f"it is not UTF-8: {error.reason} at byte {error.start}") from error
