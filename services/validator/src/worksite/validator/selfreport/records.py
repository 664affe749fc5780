"""Whether to believe what a self-reported run says of itself (scheme B+S)."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from worksite.validator.domain.cases import Case, CaseOutcome, Suite

_OUTCOMES: tuple[CaseOutcome, ...] = ("passed", "failed", "skipped")
_FALSEHOODS = (
    "assert 1 + 1 == 3",
    "assert [1, 2] == [2, 1]",
    "assert {'a': 1} == {'a': 2}",
    "assert not 'false'",
    "raise RuntimeError('a test that raises has failed')",
)


class Unbelievable(Exception):
    """The records do not hang together; the text says where."""


@dataclass(frozen=True)
class Sentinel:
    """A test of our own with a random name that must be reported as failed."""

    file: str
    name: str
    source: str


def sentinels() -> tuple[Sentinel, ...]:
    """Fresh ones for one run."""
    made: list[Sentinel] = []
    for falsehood in _FALSEHOODS:
        name = f"test_{secrets.token_hex(8)}"
        source = f"def {name}():\n    {falsehood}\n"
        made.append(Sentinel(f"test_sentinel_{secrets.token_hex(8)}.py", name, source))
    return tuple(made)


def read_records(data: bytes, key: bytes, exit_code: int | None, planted: Iterable[Sentinel]) -> Suite:
    """The suite that the records describe, without the sentinels. Raises Unbelievable."""
    records = _authentic(data, key)
    if not records or records[-1].get("kind") != "end":
        raise Unbelievable("the test process ended before its tests did")
    if records[-1].get("code") != exit_code:
        raise Unbelievable(
            f"the tests reported exit code {records[-1].get('code')}, the process ended with {exit_code}"
        )
    cases = _cases(records)
    _check_collected(records, cases)
    return Suite(_without_sentinels(cases, [sentinel.name for sentinel in planted]))


def _authentic(data: bytes, key: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    for line in data.splitlines():
        digest, _, body = line.partition(b" ")
        expected = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
        if not hmac.compare_digest(digest, expected):
            raise Unbelievable("a record is not authentic: something else wrote to the result pipe")
        record = json.loads(body)
        if record["sequence"] != len(records):
            raise Unbelievable("the records are not in sequence: something else wrote to the result pipe")
        records.append(record)
    return records


def _cases(records: list[dict[str, Any]]) -> dict[str, Case]:
    cases: dict[str, Case] = {}
    for record in records:
        if record["kind"] != "case":
            continue
        case = Case(str(record["id"]), record["outcome"], str(record["text"]), float(record["seconds"]))
        if case.outcome not in _OUTCOMES or case.id in cases:
            raise Unbelievable(f"{case.id} was reported twice or with an unknown outcome")
        cases[case.id] = case
    return cases


def _check_collected(records: list[dict[str, Any]], cases: dict[str, Case]) -> None:
    """One result for every collected test; none besides, except for files that could not be collected."""
    collected = {identity for record in records if record["kind"] == "collected" for identity in record["ids"]}
    if missing := sorted(collected - set(cases)):
        raise Unbelievable(f"{len(missing)} collected tests have no result, the first is {missing[0]}")
    invented = [key for key in cases if key not in collected and "::test" in key and cases[key].outcome == "passed"]
    if invented:
        raise Unbelievable(f"{invented[0]} has a result and was never collected")


def _without_sentinels(cases: dict[str, Case], names: list[str]) -> dict[str, Case]:
    kept = dict(cases)
    for name in names:
        found = [case for key, case in cases.items() if key.endswith(f"::{name}")]
        if len(found) != 1 or found[0].outcome != "failed":
            said = found[0].outcome if found else "missing"
            raise Unbelievable(f"a test that must fail was reported as {said}: the results are forged")
        del kept[found[0].id]
    return cast("dict[str, Case]", kept)
