"""Runs the grammars of source code in a process of its own.

They are other people's C, and files exist that crash them (YAML nested 400 deep), that take them long, and they let no
other thread run meanwhile. The process is kept between files and started again when it is lost; the file that it was
lost at is cut without a grammar.
"""

from __future__ import annotations

import json
import logging
import resource
import subprocess
import sys
import weakref
from threading import Lock, Timer
from typing import IO

from worksite.rag.domain.code import code_sections
from worksite.rag.domain.sections import Section

log = logging.getLogger(__name__)

SECONDS = 30.0
"""How long one file may take, waiting for a processor included; one of 2 MiB takes half a second."""
MEMORY_BYTES = 1 << 30
_COMMAND = (sys.executable, "-I", "-m", "worksite.rag.parsing")
_Process = subprocess.Popen[bytes]


class CodeParser:
    """Blocking, and safe to call from several threads: files take turns. The process ends with this object."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._turn = Lock()
        self._process: _Process | None = None
        self._end: weakref.finalize[..., CodeParser] | None = None

    def sections(self, text: str, language: str) -> list[Section]:
        """What `code_sections` gives; none as well where that crashes or takes too long."""
        with self._turn:
            process = self._process or self._started()
            reply = self._asked(process, json.dumps([text, language]).encode())
            if reply.endswith(b"\n"):
                return _read(reply)
            self._lost()
        log.warning("a file of %d characters of %s broke its parser and is cut without it", len(text), language)
        return []

    def _started(self) -> _Process:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            _COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env={}, start_new_session=True
        )
        self._end = weakref.finalize(self, _ended, self._process)
        return self._process

    def _asked(self, process: _Process, question: bytes) -> bytes:
        """The reply, which is not a whole line where the process came to its end."""
        assert process.stdin
        assert process.stdout
        timer = Timer(self._seconds, process.kill)
        timer.start()
        try:
            process.stdin.write(question + b"\n")
            process.stdin.flush()
            return process.stdout.readline()
        except BrokenPipeError:
            return b""
        finally:
            timer.cancel()

    def _lost(self) -> None:
        self._process = None
        if self._end:
            self._end()


def _ended(process: _Process) -> None:
    process.kill()
    process.communicate()  # closes the pipes


def _read(reply: bytes) -> list[Section]:
    return [
        Section(tuple(heading), tuple((start, end) for start, end in blocks)) for heading, blocks in json.loads(reply)
    ]


def serve(questions: IO[bytes], replies: IO[bytes]) -> None:
    """The process: a line asks, a line answers, until there are no more."""
    for question in questions:
        text, language = json.loads(question)
        sections = [(section.heading, section.blocks) for section in code_sections(text, language)]
        replies.write(json.dumps(sections).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, sys.stdout.buffer)
