"""The records of a self-reported run: believed only if everything hangs together."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from worksite.validator.selfreport.records import Unbelievable, read_records, sentinel_names

KEY = b"k" * 32
PLANTED = ["test_s1", "test_s2"]


def case(identity: str, outcome: str) -> dict[str, Any]:
    return {"kind": "case", "id": identity, "outcome": outcome, "text": "", "seconds": 0.1}


HONEST = [
    {"kind": "collected", "ids": ["t.py::test_a", "t.py::test_s1", "t.py::test_s2"]},
    case("t.py::test_a", "passed"),
    case("t.py::test_s1", "failed"),
    case("t.py::test_s2", "failed"),
    {"kind": "end", "code": 1},
]


def sealed(records: list[dict[str, Any]], key: bytes = KEY) -> bytes:
    lines: list[bytes] = []
    for number, record in enumerate(records):
        body = json.dumps({**record, "sequence": number}).encode()
        lines.append(hmac.new(key, body, hashlib.sha256).hexdigest().encode() + b" " + body + b"\n")
    return b"".join(lines)


def test_an_honest_run_is_believed_and_the_planted_tests_left_out() -> None:
    suite = read_records(sealed(HONEST), KEY, 1, PLANTED)

    assert list(suite.cases) == ["t.py::test_a"]


def changed(index: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**record, **fields} if number == index else record for number, record in enumerate(HONEST)]


@pytest.mark.parametrize(
    ("data", "exit_code", "reason"),
    [
        (sealed(HONEST[:-1]), 1, "ended before"),
        (b"", 0, "ended before"),
        (sealed(HONEST), 0, "exit code"),
        (sealed(HONEST), None, "exit code"),
        (sealed(HONEST, b"x" * 32), 1, "not authentic"),
        (sealed(HONEST) + b"{}\n", 1, "not authentic"),
        (sealed(HONEST)[150:], 1, "not authentic"),
        (b"".join(sealed(HONEST).splitlines(keepends=True)[1:]), 1, "sequence"),
        (sealed(changed(2, outcome="passed")), 1, "must fail was reported as passed"),
        (sealed(changed(2, outcome="skipped")), 1, "must fail was reported as skipped"),
        (sealed([*HONEST[:1], HONEST[1], HONEST[4]]), 1, "have no result"),
        (sealed([{"kind": "collected", "ids": ["t.py::test_a"]}, HONEST[1], HONEST[4]]), 1, "not reported at all"),
        (sealed([*HONEST[:4], case("t.py::test_more", "passed"), HONEST[4]]), 1, "never collected"),
        (sealed([*HONEST[:2], *HONEST[1:]]), 1, "twice"),
        (sealed(changed(1, outcome="great")), 1, "unknown outcome"),
    ],
)
def test_a_run_that_does_not_hang_together_is_not_believed(data: bytes, exit_code: int | None, reason: str) -> None:
    with pytest.raises(Unbelievable, match=reason):
        read_records(data, KEY, exit_code, PLANTED)


def test_a_run_that_collected_nothing_has_nothing_planted() -> None:
    records: list[dict[str, Any]] = [{"kind": "collected", "ids": []}, {"kind": "end", "code": 5}]

    assert read_records(sealed(records), KEY, 5, PLANTED).cases == {}


def test_names_are_fresh_for_each_run() -> None:
    assert not set(sentinel_names()) & set(sentinel_names())
