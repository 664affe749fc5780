"""Who uses a directory: its process holds a lock on it, which the kernel releases however that process ends.

Process ids would not tell: a container that starts again has those of before. Locks of two descriptors exclude each
other within a process too.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_directory(root: Path, prefix: str) -> Iterator[Path]:
    """A fresh directory in `root`, in use until the end of the block, whatever it is called by then."""
    while True:
        directory = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        with unused(directory) as free:
            if free:  # else another service took it for a leftover before it was locked
                yield directory
                return


@contextmanager
def unused(directory: Path) -> Iterator[bool]:
    """Whether it is there and nobody uses it; then nobody else does until the end of the block."""
    lock = _lock(directory, fcntl.LOCK_EX)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            os.close(lock)


def share(directory: Path) -> int | None:
    """A descriptor: until it is closed the directory is in use, by others too. None where it is not there, or on its
    way out."""
    return _lock(directory, fcntl.LOCK_SH)


def _lock(directory: Path, kind: int) -> int | None:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), directory.stat()):
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)  # somebody else's, removed, or another one of the same name by now
    return None
