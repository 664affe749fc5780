"""Whether to believe what a self-reported run says of itself (scheme B+S)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

from worksite.validator.domain.cases import Case, CaseOutcome, Suite

_OUTCOMES: tuple[CaseOutcome, ...] = ("passed", "failed", "skipped")
_SENTINELS = 6


class Unbelievable(Exception):
    """The records do not hang together; the text says where."""


def sentinel_names() -> list[str]:
    """Names for tests that must fail, fresh for one run."""
    return [f"test_{secrets.token_hex(8)}" for _ in range(_SENTINELS)]


def read_records(data: bytes, key: bytes, exit_code: int | None, sentinels: Sequence[str]) -> Suite:
    """The suite that the records describe, without the sentinels. Raises Unbelievable."""
    records = _authentic(data, key)
    if not records or records[-1]["kind"] != "end":
        raise Unbelievable("the test process ended before its tests did")
    if records[-1]["code"] != exit_code:
        raise Unbelievable(f"the tests reported exit code {records[-1]['code']}, the process ended with {exit_code}")
    cases = _cases(records)
    collected = {identity for record in records if record["kind"] == "collected" for identity in record["ids"]}
    _check_collected(collected, cases)
    return Suite(_without_sentinels(cases, collected, sentinels))


def _authentic(data: bytes, key: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for line in data.splitlines():
        digest, _, body = line.partition(b" ")
        expected = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
        if not hmac.compare_digest(digest, expected):
            raise Unbelievable("a record is not authentic: something else wrote to the result pipe")
        record = json.loads(body)
        if record["sequence"] != len(records):
            raise Unbelievable("the records are out of sequence: something else wrote to the result pipe")
        records.append(record)
    return records


def _cases(records: list[dict[str, Any]]) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for record in records:
        if record["kind"] == "case":
            case = Case(str(record["id"]), record["outcome"], str(record["text"]), float(record["seconds"]))
            if case.outcome not in _OUTCOMES or case.id in cases:
                raise Unbelievable(f"{case.id} was reported twice or with an unknown outcome")
            cases[case.id] = case
    return cases


def _check_collected(collected: set[str], cases: dict[str, Case]) -> None:
    """One result for every collected test, and no test passed that was not collected."""
    if missing := sorted(collected - set(cases)):
        raise Unbelievable(f"{len(missing)} collected tests have no result, the first is {missing[0]}")
    if invented := [case.id for case in cases.values() if case.outcome == "passed" and case.id not in collected]:
        raise Unbelievable(f"{invented[0]} passed and was never collected")


def _without_sentinels(cases: dict[str, Case], collected: set[str], sentinels: Sequence[str]) -> dict[str, Case]:
    planted = {key: case for key, case in cases.items() if key.rsplit("::", 1)[-1] in sentinels}
    if forged := [case for case in planted.values() if case.outcome != "failed"]:
        raise Unbelievable(f"a test that must fail was reported as {forged[0].outcome}: the results are forged")
    if collected and {key.rsplit("::", 1)[-1] for key in planted} != set(sentinels):
        raise Unbelievable("tests that must fail were not reported at all: the results are forged")
    return {key: case for key, case in cases.items() if key not in planted}
