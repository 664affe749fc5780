"""Run pytest in the candidate's process, trusted code first. Standard library and pytest only.

Everything this program needs is imported before the candidate's directories are on `sys.path`. Each record carries a
sequence number and an HMAC whose key came through standard input. That catches early exits and crude forgeries; code
that searches this process's memory finds the key, which is why the grade is called self_reported.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import site
import sys
from typing import Any

_MAX_TEXT = 4000


class Records:
    """Authenticated lines on the result pipe."""

    def __init__(self, descriptor: int, key: bytes) -> None:
        self._descriptor, self._key, self._sequence = descriptor, key, 0

    def write(self, record: dict[str, Any]) -> None:
        body = json.dumps({**record, "sequence": self._sequence}, sort_keys=True).encode()
        self._sequence += 1
        line = hmac.new(self._key, body, hashlib.sha256).hexdigest().encode() + b" " + body + b"\n"
        while line:
            line = line[os.write(self._descriptor, line) :]


class Reporter:
    """The plugin: what was collected, and the worst outcome of each test's set-up, call and tear-down."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._worst: dict[str, Any] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        sentinels = [item for item in items if item.path.name.startswith("test_sentinel_")]
        for item in sentinels:  # among the others, so that a patch that ends early meets one
            items.remove(item)
            items.insert(random.randrange(len(items) + 1), item)

    def pytest_collection_finish(self, session: Any) -> None:
        self._records.write({"kind": "collected", "ids": [item.nodeid for item in session.items]})

    def pytest_deselected(self, items: list[Any]) -> None:
        self._records.write({"kind": "deselected", "ids": [item.nodeid for item in items]})

    def pytest_collectreport(self, report: Any) -> None:
        if report.outcome != "passed":
            self._case(report.nodeid or ".", report.outcome, str(report.longrepr), 0.0)

    def pytest_runtest_logreport(self, report: Any) -> None:
        order = ("passed", "skipped", "failed")
        worst = self._worst.get(report.nodeid)
        if worst is None or order.index(report.outcome) > order.index(worst.outcome):
            self._worst[report.nodeid] = report
        if report.when == "teardown":
            worst = self._worst.pop(report.nodeid)
            outcome = "skipped" if hasattr(worst, "wasxfail") else worst.outcome
            text = "" if outcome == "passed" else worst.longreprtext
            self._case(report.nodeid, outcome, text, worst.duration)

    def _case(self, identity: str, outcome: str, text: str, seconds: float) -> None:
        case = {"id": identity, "outcome": outcome, "text": text[-_MAX_TEXT:], "seconds": round(seconds, 3)}
        self._records.write({"kind": "case", **case})


def main() -> None:
    config = json.loads(sys.stdin.buffer.read())
    records = Records(int(os.environ.pop("WORKSITE_RESULT_FD")), bytes.fromhex(config.pop("key")))
    site.setquit()  # `exit` and `quit`, which -S leaves out
    sys.path += config["packages"]
    import pytest

    sys.path += config["import_roots"]
    sys.argv = ["pytest"]
    code = int(pytest.main(config["arguments"], plugins=[Reporter(records)]))
    records.write({"kind": "end", "code": code})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that a test left behind must not keep the process


if __name__ == "__main__":
    main()
