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


def case(identity: str, outcome: str, phase: str = "call") -> dict[str, Any]:
    return {"kind": "case", "id": identity, "outcome": outcome, "phase": phase, "text": "", "seconds": 0.1}


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
        (sealed(changed(1, seconds=float("nan"))), 1, "impossible duration"),
        (sealed(changed(1, kind=None)), 1, "have no result"),
        (sealed([{"no": "kind"}, *HONEST]), 1, "does not have the form"),
        (sealed(changed(1, id=["x"])), 1, "invented|never collected|have no result"),
        (sealed(changed(0, ids=7)), 1, "does not have the form"),
        (sealed([*HONEST[:4], {"kind": "end", "code": []}]), 1, "exit code"),
    ],
)
def test_a_run_that_does_not_hang_together_is_not_believed(data: bytes, exit_code: int | None, reason: str) -> None:
    with pytest.raises(Unbelievable, match=reason):
        read_records(data, KEY, exit_code, PLANTED)


OTHER = [*HONEST[0]["ids"], "u.py::test_b", "u.py::test_s1"]


def skipping(module: str, phase: str, other: str) -> bytes:
    """Two modules with planted tests; in `module` they are skipped."""
    outcomes = {name: "skipped" if name.startswith(module) else "failed" for name in OTHER if "::test_s" in name}
    planted = [case(name, outcome, phase if outcome == "skipped" else "call") for name, outcome in outcomes.items()]
    tests = [case("t.py::test_a", "passed"), case("u.py::test_b", other)]
    return sealed([{"kind": "collected", "ids": OTHER}, *tests, *planted, {"kind": "end", "code": 1}])


@pytest.mark.parametrize("phase", ["setup", "call"])
def test_a_module_that_skips_all_of_its_tests_may_skip_the_planted_ones_too(phase: str) -> None:
    suite = read_records(skipping("u.py", phase, "skipped"), KEY, 1, PLANTED)

    assert (suite.caveat, len(suite.cases)) == (None, 2)


def test_where_a_fixture_skipped_the_planted_tests_and_others_passed_the_suite_says_so() -> None:
    suite = read_records(skipping("u.py", "setup", "passed"), KEY, 1, PLANTED)

    assert "skipped in u.py" in (suite.caveat or "")
    assert "skipped in u.py" in suite.summary()


def test_failures_that_turn_into_skips_where_others_pass_are_forged() -> None:
    with pytest.raises(Unbelievable, match="reported as skipped"):
        read_records(skipping("u.py", "call", "passed"), KEY, 1, PLANTED)


def test_where_no_planted_test_could_fail_the_suite_says_so() -> None:
    records = [HONEST[0], case("t.py::test_a", "skipped"), *(case(f"t.py::{name}", "skipped") for name in PLANTED)]

    suite = read_records(sealed([*records, {"kind": "end", "code": 0}]), KEY, 0, PLANTED)

    assert suite.caveat == "every planted test that must fail was skipped"


def test_text_that_no_report_could_hold_is_made_fit_for_one() -> None:
    suite = read_records(sealed(changed(1, text="a\ud800b")), KEY, 1, PLANTED)

    assert suite.cases["t.py::test_a"].text == "a?b"


def test_a_run_that_collected_nothing_has_nothing_planted() -> None:
    records: list[dict[str, Any]] = [{"kind": "collected", "ids": []}, {"kind": "end", "code": 5}]

    assert read_records(sealed(records), KEY, 5, PLANTED).cases == {}


def test_names_are_fresh_for_each_run() -> None:
    assert not set(sentinel_names()) & set(sentinel_names())
