"""Who is at work, told by the kernel: a lock ends with its process, however that ends. Process ids would come again."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PROCESSES = Path("/proc")


@contextmanager
def locked(folder: Path) -> Iterator[int | None]:
    """Hold the lock (flock) on a folder for the block: its descriptor, or None where somebody else holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def somebody_is_inside(folder: Path) -> bool:
    """Is it the working directory of a process, a shell for one? Of those that we may look at, on Linux."""
    inside = folder.resolve()
    for process in _PROCESSES.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(inside):
                return True
    return False
