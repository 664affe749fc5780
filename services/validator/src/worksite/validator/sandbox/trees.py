"""Directory trees that a candidate has written to: they may be nested deeper than recursion or PATH_MAX allows."""

# ruff: noqa: PTH101, PTH104, PTH106, PTH108 - many thousand entries, and names that need not be text

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from worksite.validator.sandbox.locks import unused

WORKSPACE, SCRATCH = "workspace-", "scratch-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


def give_tree(tree: Path, uid: int) -> None:
    """Make `uid` (and the group of the same number) the owner of `tree` and of everything in it."""
    os.lchown(tree, uid, uid)
    for directory, name in entries(tree):
        os.chown(name, uid, uid, dir_fd=directory, follow_symlinks=False)


def entries(tree: Path) -> Iterator[tuple[int, str]]:
    """Everything in `tree` as (descriptor of its directory, name); no link is followed. Nothing may move meanwhile.

    One directory is open at a time, so neither the length of a path nor the number of descriptors bounds the depth.
    """
    here = os.open(tree, _DIRECTORY)
    unvisited: list[list[str]] = []  # below each directory on the way down to `here`
    try:
        while True:
            directories: list[str] = []
            with os.scandir(here) as listing:
                for entry in listing:
                    if entry.is_dir(follow_symlinks=False):
                        directories.append(entry.name)
                    yield here, entry.name
            unvisited.append(directories)
            while not unvisited[-1]:
                unvisited.pop()
                if not unvisited:
                    return
                here = _step(here, "..")
            here = _step(here, unvisited[-1].pop())
    finally:
        os.close(here)


def remove_tree(tree: Path) -> None:
    """Remove `tree`, whatever modes its directories have and however deep it is. Nothing may still write to it.

    Nested directories are moved up to the top before they are emptied, so no path ever grows.
    """
    os.chmod(tree, 0o700)
    numbers = count()
    while directories := _remove_files(tree):
        for directory in directories:
            os.chmod(directory, 0o700)
            for nested in _remove_files(directory):
                os.chmod(nested, 0o700)  # renaming a directory writes to it
                os.rename(nested, _unused(tree, numbers))
            os.rmdir(directory)
    os.rmdir(tree)


def remove_leftovers(root: Path) -> None:
    """Remove the directories of runs in `root` that a service which was killed has left."""
    for directory in (found for prefix in (WORKSPACE, SCRATCH) for found in root.glob(f"{prefix}*")):
        with suppress(FileNotFoundError):  # another service has just ended its run
            if not os.access(directory, os.R_OK):  # a program closed it
                directory.chmod(0o700)
            with unused(directory) as leftover:
                if leftover:
                    remove_tree(directory)


def _step(here: int, name: str) -> int:
    there = os.open(name, _DIRECTORY, dir_fd=here)
    os.close(here)
    return there


def _remove_files(directory: str | Path) -> list[str]:
    """Remove all but the directories in `directory`, and return those."""
    with os.scandir(directory) as listing:
        entries = list(listing)
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
    return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]


def _unused(tree: Path, numbers: Iterator[int]) -> Path:
    return next(path for number in numbers if not os.path.lexists(path := tree / f"moved-{number}"))
