"""Why a stack does not start or cannot go on, in words that say what to do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Generator
from pathlib import Path


class NotReady(Exception):
    """The stack did not come up; the text says what is missing."""


class StateUnusable(NotReady):
    """The state directory is not one that this version and this user can work on."""


class StateInUse(NotReady):
    """Another stack runs on the same state directory."""


@contextlib.contextmanager
def explained(root: Path) -> Generator[None]:
    """What the operating system refuses while the state directory `root` is written becomes StateUnusable."""
    try:
        yield
    except OSError as error:
        raise StateUnusable(explanation(error, root)) from error


def explanation(error: OSError, root: Path) -> str:
    """One line: what happened, and what a person can do about it."""
    elsewhere = "or keep the state elsewhere with WORKSITE_STATE"
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"no space left on the disk of {root}: free some, {elsewhere}"
        case errno.EROFS:
            return f"{error.filename or root} is on a read-only file system: {elsewhere.removeprefix('or ')}"
        case errno.EACCES | errno.EPERM:
            return f"no permission for {error.filename or root}: give yourself its files (chown -R), {elsewhere}"
        case errno.ENOTDIR | errno.EEXIST:
            return f"{error.filename or root} is no directory: move it away, {elsewhere}"
        case errno.ENOENT:
            return f"{error.filename or root} cannot be made: {elsewhere.removeprefix('or ')}"
        case _:
            return str(error)
