"""The process that a shard has to itself, as the service sees it."""

from __future__ import annotations

import logging
import pickle
import socket
import subprocess
import sys
import weakref
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Any, TextIO
from uuid import UUID

from worksite.rag.domain.documents import SparseVector, Vector
from worksite.rag.domain.identity import Revision
from worksite.rag.domain.queries import Scope

logger = logging.getLogger(__name__)

PAGE = 1000
"""Revisions in one answer."""
StoredRevision = tuple[str, UUID, Revision]
"""Path, chunk id, revision."""


class ShardError(RuntimeError):
    """The engine refuses, in its own words, or its process cannot be kept alive."""


@dataclass(frozen=True, slots=True)
class Search:
    """The best `limit` points by a vector of one side, among these ids where some are given."""

    vector: Vector | SparseVector
    scope: Scope
    limit: int
    among: Collection[UUID] | None


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    questions: IO[bytes]
    answers: IO[bytes]

    def ask(self, *question: Any) -> Any:
        """Raises EOFError or OSError when the process is gone."""
        if self.questions.closed:
            raise EOFError("it was not started again")
        self.questions.write(pickle.dumps(question))  # whole or not at all
        self.questions.flush()
        return self.answer()

    def answer(self) -> Any:
        try:
            went_well, answer = pickle.load(self.answers)  # noqa: S301 - of our own process
        except pickle.UnpicklingError as error:
            raise EOFError("an answer that breaks off") from error
        if not went_well:
            raise ShardError(answer)
        return answer

    def end(self) -> None:
        """It has nothing to lose: what it has answered is in its write-ahead log."""
        self.process.kill()
        self.process.wait()
        for file in (self.questions, self.answers):
            try:
                file.close()
            except OSError:  # what could not be sent any more
                continue


class ShardProcess:
    """Blocking, one question at a time. A process that is lost is started again, and asked again, once.

    Every question may be asked twice. The process shares the lock on the folder, so that nobody else opens the shard
    before it has ended, and ends when this one does.
    """

    def __init__(self, folder: Path, lock: TextIO, dimensions: int | None) -> None:
        """See `worksite.rag.stores.shard.opened`. Raises ShardError."""
        self._folder, self._lock, self._turn = folder, lock, Lock()
        self._child, self.made_anew_because = self._started(dimensions)

    def ask(self, name: str, *arguments: Any) -> Any:
        """The answer of a method of `worksite.rag.stores.shard.Shard`. Raises ShardError."""
        with self._turn:
            try:
                return self._child.ask(name, *arguments)
            except (EOFError, OSError):
                logger.warning("the process of the index %s was lost and is started again", self._folder)
                self._end()
            self._child, _ = self._started(None)
            try:
                return self._child.ask(name, *arguments)
            except (EOFError, OSError) as error:
                raise ShardError(f"the process of the index {self._folder} was lost twice") from error

    def end(self) -> None:
        """After the shard was closed."""
        self._end()

    def _started(self, dimensions: int | None) -> tuple[_Child, str]:
        ours, theirs = socket.socketpair()
        with theirs, ours:
            process = self._process(theirs.fileno(), dimensions)
            child = _Child(process, ours.makefile("wb"), ours.makefile("rb"))
        self._end = weakref.finalize(self, child.end)
        try:
            return child, child.answer()
        except (EOFError, OSError) as error:
            self._end()
            raise ShardError(f"the process of the index {self._folder} ends before it answers") from error
        except ShardError:
            self._end()
            raise

    def _process(self, channel: int, dimensions: int | None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-I", "-m", "worksite.rag.stores.shard", str(channel), str(self._folder)]
        try:
            return subprocess.Popen(
                [*command, str(dimensions or 0)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(channel, self._lock.fileno()),
                env={},
                start_new_session=True,
            )
        except OSError as error:
            raise ShardError(f"no process can be started for the index {self._folder}: {error}") from error
