"""Run pytest in the candidate's process, trusted code first. Standard library and pytest only.

Everything this program needs is imported before the candidate's directories are on `sys.path`. Each record carries a
sequence number and an HMAC whose key came through standard input. Into every module of tests it plants tests that must
fail. That catches early exits and whatever turns failures into passes wholesale; code that searches this process's
memory finds the key and the plants, which is why the grade is called self_reported.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import random
import site
import sys
from collections.abc import Callable
from itertools import chain, cycle
from typing import Any

import pytest

_MAX_TEXT = 4000


def _wrong_sum() -> None:
    assert sum([1, 1]) == 3


def _wrong_order() -> None:
    assert sorted([2, 1]) == [2, 1]


def _raising() -> None:
    raise RuntimeError("a test that raises has failed")


def _failing() -> None:
    pytest.fail("a test that says so has failed")


_FALSEHOODS: tuple[Callable[[], None], ...] = (_wrong_sum, _wrong_order, _raising, _failing)


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

    def __init__(self, records: Records, sentinels: list[str]) -> None:
        self._records = records
        self._sentinels = sentinels
        self._reports: list[pytest.TestReport] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Plant each sentinel at least once and at least one in every module, before or after the module's tests.

        Anywhere else it would make pytest tear down the fixtures that a module or a class shares.
        """
        modules = list(dict.fromkeys(module for item in items if (module := item.getparent(pytest.Module))))
        if modules:
            surplus = (random.choice(modules) for _ in range(len(self._sentinels) - len(modules)))
            for module, name in zip(chain(modules, surplus), cycle(self._sentinels), strict=False):
                falsehood = random.choice(_FALSEHOODS)
                planted = pytest.Function.from_parent(module, name=name, callobj=falsehood)
                own = [place for place, item in enumerate(items) if item.getparent(pytest.Module) is module]
                items.insert(random.choice((own[0], own[-1] + 1)), planted)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._records.write({"kind": "collected", "ids": [item.nodeid for item in session.items]})

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.outcome != "passed":
            self._case(report.nodeid or ".", report.outcome, "collect", str(report.longrepr), 0.0)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._reports.append(report)
        if report.when == "teardown":
            worst = max(self._reports, key=lambda each: ("passed", "skipped", "failed").index(each.outcome))
            outcome = "skipped" if hasattr(worst, "wasxfail") else worst.outcome
            text = "" if outcome == "passed" else worst.longreprtext
            seconds = sum(each.duration for each in self._reports)
            self._case(report.nodeid, outcome, worst.when or "", text, seconds)
            self._reports = []

    def _case(self, identity: str, outcome: str, phase: str, text: str, seconds: float) -> None:
        case = {"id": identity, "outcome": outcome, "phase": phase, "seconds": round(seconds, 3)}
        self._records.write({"kind": "case", **case, "text": text[-_MAX_TEXT:]})


def main() -> None:
    config = json.loads(sys.stdin.buffer.read())
    records = Records(int(os.environ.pop("WORKSITE_RESULT_FD")), bytes.fromhex(config["key"]))
    reporter = Reporter(records, config["sentinels"])
    site.setquit()  # `exit` and `quit`, which -S leaves out
    sys.path += config["import_roots"]
    sys.argv = ["pytest"]
    code = int(pytest.main(config["arguments"], plugins=[reporter]))
    records.write({"kind": "end", "code": code})
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # threads that a test left behind must not keep the process
