"""One log stream for the whole stack: a bounded file, and the terminal where asked."""

from __future__ import annotations

import logging
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

_MAX_BYTES, _OLD_FILES = 10 << 20, 3


class StackLog:
    """Every line of every process, with its name in front."""

    def __init__(self, path: Path, *, echo: bool) -> None:
        self._path = path
        self._echo = echo

    def __enter__(self) -> StackLog:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = RotatingFileHandler(self._path, maxBytes=_MAX_BYTES, backupCount=_OLD_FILES)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, name: str, line: str) -> None:
        """One line of one process."""
        text = f"{name:9} | {line}"
        self._file.emit(logging.LogRecord("stack", logging.INFO, "", 0, text, None, None))
        if self._echo and not (name == "nats" and "[INF]" in line):  # its banner would bury everything else
            print(text, file=sys.stdout, flush=True)
