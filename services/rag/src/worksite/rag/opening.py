"""Opens files of a folder that somebody else may rearrange meanwhile."""

from __future__ import annotations

import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FILE = os.O_RDONLY | os.O_NONBLOCK  # a pipe would be waited for


class NotRegular(OSError):
    """A pipe, a device or the like, which has no content of its own."""


@contextmanager
def opened(root: Path, file: Path) -> Generator[BinaryIO, None, None]:
    """A regular file below a root, no part of whose path below it is a link, not even since the caller has looked.

    Raises OSError, of which NotRegular is one.
    """
    with os.fdopen(_descriptor(root, file), "rb") as found:
        if not stat.S_ISREG(os.fstat(found.fileno()).st_mode):
            raise NotRegular(f"{file.name} is no regular file")
        yield found


def _descriptor(root: Path, file: Path) -> int:
    *folders, name = file.relative_to(root).parts
    at = os.open(root, _FOLDER)
    try:
        for folder in folders:
            inner = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        return os.open(name, _FILE | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)
