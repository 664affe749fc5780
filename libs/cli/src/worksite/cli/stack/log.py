"""One log stream for the whole stack: a bounded file, and the terminal where asked."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

from worksite.cli.stack.lines import as_it_is

_MAX_BYTES, _OLD_FILES = 10 << 20, 3


class _LogFile(RotatingFileHandler):
    """A log that cannot be written, on a full disk for example, is told of once and otherwise done without."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        if not self._told:
            print(f"worksite: {self.baseFilename} is not written: {sys.exc_info()[1]}", file=sys.stderr)
        self._told = True


class StackLog:
    """Every line of every process, with its name in front. The file is opened with the first of them."""

    def __init__(self, path: Path, *, echo: Callable[[str, str], str] | None = None) -> None:
        """`echo` makes of a program's name and its line what the terminal shows."""
        self._path = path
        self._echo = echo

    def __enter__(self) -> StackLog:
        self._file = _LogFile(self._path, maxBytes=_MAX_BYTES, backupCount=_OLD_FILES, delay=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, name: str, line: str) -> None:
        """One line of one process."""
        self._file.emit(logging.LogRecord("stack", logging.INFO, "", 0, as_it_is(name, line), None, None))
        if self._echo and not (name == "nats" and "[INF]" in line):  # its banner would bury everything else
            self._show(self._echo(name, line))

    def _show(self, text: str) -> None:
        """Whoever read it may have gone (a pipe, a terminal): the stack goes on, and the file has every line."""
        try:
            print(text, file=sys.stdout, flush=True)
        except OSError:
            self._echo = None
