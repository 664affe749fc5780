"""Folders of files, as they are now: which files count, and what is in one."""

from __future__ import annotations

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

MAX_FILE_BYTES = 2 << 20
"""Larger texts are generated rather than written: refused instead of filling the index."""
MAX_CONVERTED_BYTES = 20 << 20
"""Of a file that is converted to text first: most of it is pictures and fonts."""

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
        if not self.root.is_dir():
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
    if not at.is_dir():
        if source_of(at.name) and at.is_file() and not ignored.leaves_out(at, is_folder=False):
            yield at
        return
    if ignored.leaves_out(at, is_folder=True):
        return

    def record(error: OSError) -> None:
        unreadable[Path(error.filename)] = error.strerror or str(error)

    for folder, subfolders, names in os.walk(at, onerror=record):
        here = Path(folder)
        subfolders[:] = sorted(name for name in subfolders if not ignored.leaves_out(here / name, is_folder=True))
        for file in (here / name for name in sorted(names)):
            if source_of(file.name) and not file.is_symlink() and not ignored.leaves_out(file, is_folder=False):
                yield file


def stamp_of(file: Path) -> Stamp:
    """Raises OSError."""
    about = file.lstat()
    return about.st_mtime_ns, about.st_size, about.st_ino


def read(file: Path) -> Contents:
    """Read a whole file. Raises OSError, and Unindexable for what is not a file of ours or too large."""
    if (source := source_of(file.name)) is None:
        raise Unindexable("its name says nothing that we know")
    descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)  # a pipe would be waited for
    with os.fdopen(descriptor, "rb") as opened:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise Unindexable("it is no regular file")
        most = MAX_CONVERTED_BYTES if source.is_converted else MAX_FILE_BYTES
        data = opened.read(most + 1)
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
