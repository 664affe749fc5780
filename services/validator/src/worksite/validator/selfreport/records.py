"""Whether to believe what a self-reported run says of itself (scheme B+S)."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Sequence
from typing import Any

from worksite.validator.domain.cases import Case, CaseOutcome, Suite
from worksite.validator.domain.untrusted import read_json

_OUTCOMES: tuple[CaseOutcome, ...] = ("passed", "failed", "skipped")
_SENTINELS = 6
_LONGEST = 86_400.0


class Unbelievable(Exception):
    """The records do not hang together; the text says where."""


def sentinel_names() -> list[str]:
    """Names for tests that must fail, fresh for one run."""
    return [f"test_{secrets.token_hex(8)}" for _ in range(_SENTINELS)]


def read_records(data: bytes, key: bytes, exit_code: int | None, sentinels: Sequence[str]) -> Suite:
    """The suite that the records describe, without the sentinels. Raises Unbelievable."""
    try:
        return _read(_authentic(data, key), exit_code, sentinels)
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError):
        raise Unbelievable("a record does not have the form that the driver writes: the results are forged") from None


def _read(records: list[dict[str, Any]], exit_code: int | None, sentinels: Sequence[str]) -> Suite:
    if not records or records[-1]["kind"] != "end":
        raise Unbelievable("the test process ended before its tests did")
    if records[-1]["code"] != exit_code:
        raise Unbelievable(f"the tests reported exit code {records[-1]['code']}, the process ended with {exit_code}")
    cases = _cases(records)
    collected = {identity for record in records if record["kind"] == "collected" for identity in record["ids"]}
    _check_collected(collected, cases)
    planted = {key: case for key, case in cases.items() if key.rsplit("::", 1)[-1] in sentinels}
    if collected and {key.rsplit("::", 1)[-1] for key in planted} != set(sentinels):
        raise Unbelievable("tests that must fail were not reported at all: the results are forged")
    genuine = {key: case for key, case in cases.items() if key not in planted}
    at_setup = {record["id"] for record in records if record["kind"] == "case" and record["phase"] == "setup"}
    return Suite(genuine, caveat=_check_sentinels(planted.values(), genuine, at_setup))


def _authentic(data: bytes, key: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for line in data.splitlines():
        digest, _, body = line.partition(b" ")
        expected = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
        if not hmac.compare_digest(digest, expected):
            raise Unbelievable("a record is not authentic: something else wrote to the result pipe")
        record = read_json(body)
        if record["sequence"] != len(records):
            raise Unbelievable("the records are out of sequence: something else wrote to the result pipe")
        records.append(record)
    return records


def _cases(records: list[dict[str, Any]]) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for record in records:
        if record["kind"] == "case":
            case = Case(str(record["id"]), record["outcome"], str(record["text"]), float(record["seconds"]))
            if case.outcome not in _OUTCOMES or case.id in cases or not 0 <= case.seconds < _LONGEST:
                raise Unbelievable(f"{case.id} was reported twice, with an unknown outcome or an impossible duration")
            cases[case.id] = case
    return cases


def _check_collected(collected: set[str], cases: dict[str, Case]) -> None:
    """One result for every collected test, and no test passed that was not collected."""
    if missing := sorted(collected - set(cases)):
        raise Unbelievable(f"{len(missing)} collected tests have no result, the first is {missing[0]}")
    if invented := [case.id for case in cases.values() if case.outcome == "passed" and case.id not in collected]:
        raise Unbelievable(f"{invented[0]} passed and was never collected")


def _check_sentinels(planted: Iterable[Case], genuine: dict[str, Case], at_setup: set[str]) -> str | None:
    """What weakens the results, if anything: where planted tests were skipped, nothing guards the module.

    A module may skip all of its tests, or expect all to fail. Then nothing else passes in it; and if something does, a
    fixture must have skipped the planted tests before they began.
    """
    passed = {_module(case.id) for case in genuine.values() if case.outcome == "passed"}
    failed = False
    unguarded: list[str] = []
    for case in planted:
        excused = case.outcome == "skipped" and (case.id in at_setup or _module(case.id) not in passed)
        if case.outcome != "failed" and not excused:
            raise Unbelievable(f"a test that must fail was reported as {case.outcome}: the results are forged")
        failed = failed or case.outcome == "failed"
        if excused and _module(case.id) in passed:
            unguarded.append(_module(case.id))
    if unguarded:
        return f"planted tests that must fail were skipped in {unguarded[0]}, so nothing guards its results"
    return None if failed or not genuine else "every planted test that must fail was skipped"


def _module(identity: str) -> str:
    return identity.split("::")[0]
