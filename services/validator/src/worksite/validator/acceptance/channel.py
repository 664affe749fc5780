"""The examiner's line to the service. Standard library and pytest only; runs in the examiner's sandbox."""

from __future__ import annotations

import json
import threading
from typing import Any, BinaryIO

import pytest


class CandidateFailed(pytest.fail.Exception):
    """The candidate did not answer in time, or died. No test takes this for an exception of the candidate's: it is none
    that `except Exception` or `pytest.raises(Exception)` catches."""


class Channel:
    """JSON lines to the service; a question waits for its answer."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink
        self._lock = threading.Lock()  # tests may start threads

    def tell(self, message: dict[str, Any]) -> None:
        """Say something that needs no answer."""
        with self._lock:
            self._write(message)

    def ask(self, message: dict[str, Any]) -> Any:
        """Raises CandidateFailed when the candidate is to blame."""
        with self._lock:
            self._write(message)
            line = self._source.readline()
        if not line:
            raise SystemExit("the service has gone away")
        answer = json.loads(line)
        if "failed" in answer:
            raise CandidateFailed(answer["failed"])
        return answer["value"]

    def _write(self, message: dict[str, Any]) -> None:
        self._sink.write(json.dumps(message).encode() + b"\n")
        self._sink.flush()
