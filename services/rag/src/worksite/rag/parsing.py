"""Runs the grammars of source code in a process of its own.

They are other people's C, and files exist that crash them (YAML nested 400 deep), that take them long, and they let no
other thread run meanwhile. The process is kept between files and started again when it is lost. It is lost for want of
memory, too, which is no fault of a file: one that two processes in a row were lost at is cut without a grammar.
"""

from __future__ import annotations

import json
import logging
import resource
import signal
import socket
import subprocess
import sys
import weakref
from dataclasses import dataclass
from threading import Lock
from typing import IO

from worksite.rag.domain.code import code_sections
from worksite.rag.domain.sections import Section

log = logging.getLogger(__name__)

SECONDS = 30.0
"""How long one file may take, waiting for a processor included; one of 2 MiB takes half a second."""
MEMORY_BYTES = 1 << 30
_COMMAND = (sys.executable, "-I", "-m", "worksite.rag.parsing")


@dataclass(frozen=True, slots=True)
class _Child:
    """The process, and our end of the socket that is its input and output: unlike a pipe it knows of timeouts."""

    process: subprocess.Popen[bytes]
    channel: socket.socket
    replies: IO[bytes]

    def reply(self, question: bytes) -> bytes:
        """Not a whole line where the process came to its end or takes too long."""
        try:
            self.channel.sendall(question)
            return self.replies.readline()
        except (ConnectionError, TimeoutError):
            return b""

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.replies.close()
        self.channel.close()


class CodeParser:
    """Blocking, and safe to call from several threads: files take turns. The process ends with this object."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._turn = Lock()
        self._child: _Child | None = None
        self._end: weakref.finalize[..., CodeParser] | None = None

    def sections(self, text: str, language: str) -> list[Section]:
        """What `code_sections` gives; none as well where that crashes or takes too long, twice.

        Raises OSError where no process can be started.
        """
        question = json.dumps([text, language]).encode() + b"\n"
        with self._turn:
            reply = self._asked(question) or self._asked(question)
        if reply:
            return _read(reply)
        log.warning("a file of %d characters of %s broke its parser and is cut without it", len(text), language)
        return []

    def _asked(self, question: bytes) -> bytes:
        """The reply, or nothing where the process was lost; the next one is a fresh one then."""
        reply = (self._child or self._started()).reply(question)
        if reply.endswith(b"\n"):
            return reply
        self._lost()
        return b""

    def _started(self) -> _Child:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                process = _process(theirs.fileno())
            except OSError:
                ours.close()
                raise
        ours.settimeout(self._seconds)
        self._child = _Child(process, ours, ours.makefile("rb"))
        self._end = weakref.finalize(self, self._child.end)
        return self._child

    def _lost(self) -> None:
        self._child = None
        if self._end:
            self._end()


def _process(channel: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        _COMMAND, stdin=channel, stdout=channel, stderr=subprocess.DEVNULL, env={}, start_new_session=True
    )


def _read(reply: bytes) -> list[Section]:
    return [
        Section(tuple(heading), tuple((start, end) for start, end in blocks)) for heading, blocks in json.loads(reply)
    ]


def serve(questions: IO[bytes], replies: IO[bytes]) -> None:
    """The process: a line asks, a line answers, until there are no more.

    The alarm ends it, whatever C is at, where a grammar never returns and nobody is left who would kill it.
    """
    for question in questions:
        text, language = json.loads(question)
        signal.alarm(int(SECONDS) + 1)
        sections = [(section.heading, section.blocks) for section in code_sections(text, language)]
        signal.alarm(0)
        replies.write(json.dumps(sections).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    serve(sys.stdin.buffer, sys.stdout.buffer)
