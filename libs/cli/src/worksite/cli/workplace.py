"""A folder for the length of a command, below the state directory; what a killed command left, the next one removes.

A folder in use is locked by its process, and the kernel unlocks it however that process ends.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

from worksite.cli.stack.errors import explained
from worksite.cli.worktrees.locks import locked

FOLDER = "cli"


@contextlib.contextmanager
def workplace(state: Path) -> Generator[Path]:
    """The folder, gone after the block. Raises StateUnusable."""
    home = state / FOLDER
    sweep(state)
    with contextlib.ExitStack() as held:
        with explained(state):
            folder = _new(home, held)
            (folder / ".gitignore").write_text("*\n")  # the state may lie in the very repository that is sent
        try:
            yield folder
        finally:
            _remove(folder)
            with contextlib.suppress(OSError):  # of others at work, or of a stack
                home.rmdir()
                state.rmdir()


def sweep(state: Path) -> None:
    """Remove the folders of commands that were killed."""
    for folder in (state / FOLDER).glob("*"):
        with contextlib.suppress(OSError), locked(folder) as lock:
            if lock is not None:
                _remove(folder)


def _new(home: Path, held: contextlib.ExitStack) -> Path:
    """Made and locked. Others may sweep it, or the empty folder above, before it is locked."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            home.mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(dir=home))
            if held.enter_context(locked(folder)) is not None and folder.exists():
                return folder


def _remove(folder: Path) -> None:
    """As far as possible; the next sweep gets the rest."""
    shutil.rmtree(folder, ignore_errors=True)
