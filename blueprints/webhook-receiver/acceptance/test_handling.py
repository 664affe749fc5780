"""Acceptance: what happens to a delivery after it was accepted. The body says what the handler does."""

import time
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest


def _seconds(later: str, earlier: str) -> float:
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


def test_the_sender_does_not_wait_for_the_handler(start: Any) -> None:
    receiver = start(handler_timeout_seconds=600, concurrency=2)

    slow = [receiver.wish(wait=500), receiver.wish(wait=500), receiver.wish()]

    assert [receiver.show(each["id"])["state"] for each in slow] == ["pending"] * 3
    assert [len(receiver.show(each["id"])["attempts"]) for each in slow[2:]] == [0]


def test_deliveries_are_handled_in_parallel(start: Any) -> None:
    receiver = start(handler_timeout_seconds=600, concurrency=2)
    slow = receiver.wish(wait=500)

    for _ in range(3):
        receiver.until(receiver.wish()["id"], "handled")

    assert receiver.show(slow["id"])["state"] == "pending"


def test_a_failed_attempt_is_repeated_with_the_same_key(receiver: Any) -> None:
    delivery = receiver.wish(fail=2)

    shown = receiver.until(delivery["id"], "handled")

    assert [each["error"] is None for each in shown["attempts"]] == [False, False, True]
    assert "failed at attempt 1" in shown["attempts"][0]["error"]
    assert shown["error"] is None
    result = receiver.result(delivery["id"])
    assert (result["attempt"], result["calls"]) == (3, 3)
    assert result["idempotency_key"] == f"billing/{delivery['delivery_id']}"


def test_delays_double_up_to_a_bound(start: Any) -> None:
    receiver = start(retry_base_seconds=0.1, retry_max_seconds=0.3, max_attempts=5)
    begin = time.monotonic()
    delivery = receiver.wish(fail=9)

    attempts = receiver.until(delivery["id"], "dead")["attempts"]

    assert time.monotonic() - begin >= 0.1 + 0.2 + 0.3 + 0.3
    delays = [_seconds(each["retry_at"], each["finished_at"]) for each in attempts[:-1]]
    assert delays == pytest.approx([0.1, 0.2, 0.3, 0.3])
    for before, after in pairwise(attempts):
        assert _seconds(after["started_at"], before["retry_at"]) >= 0
    assert attempts[-1]["retry_at"] is None


def test_after_the_last_attempt_a_delivery_is_a_dead_letter(receiver: Any, start: Any) -> None:
    for each, allowed in ((receiver, 3), (start(max_attempts=5), 5)):
        delivery, saved = each.wish(fail=9), each.wish(fail=allowed - 1)

        shown = each.until(delivery["id"], "dead")

        assert [attempt["number"] for attempt in shown["attempts"]] == list(range(1, allowed + 1))
        assert f"failed at attempt {allowed}" in shown["error"]
        each.until(saved["id"], "handled")
        assert each.show(delivery["id"]) == shown


def test_a_permanent_failure_is_not_repeated(receiver: Any) -> None:
    shown = receiver.until(receiver.wish(reject=1)["id"], "dead")

    assert len(shown["attempts"]) == 1
    assert "rejected at attempt 1" in shown["error"]


def test_a_handler_that_takes_too_long_has_failed(start: Any) -> None:
    receiver = start(handler_timeout_seconds=0.1, max_attempts=2, concurrency=1)
    hanging = receiver.wish(wait=500)

    shown = receiver.until(hanging["id"], "dead")

    assert [bool(each["error"]) for each in shown["attempts"]] == [True, True]
    assert "0.1 s" in shown["error"]
    for attempt in shown["attempts"]:
        assert 0.05 < _seconds(attempt["finished_at"], attempt["started_at"]) < 10
