"""Acceptance: what becomes of deliveries when the process dies or stops. The body says what the handler does."""

import time
from typing import Any

import pytest


def _wait_for_the_end_of(receiver: Any) -> None:
    """Until the process is dead."""
    end = time.monotonic() + 20
    while _is_alive(receiver):
        assert time.monotonic() < end, "the process did not end"
        time.sleep(0.01)


def _is_alive(receiver: Any) -> bool:
    try:
        return receiver.app.get("/healthz").status == 200
    except pytest.fail.Exception:  # what the harness raises when the process is gone
        return False


def test_a_delivery_that_was_not_handled_before_a_crash_is_handled_after_it(start: Any) -> None:
    receiver = start(handler_timeout_seconds=1, concurrency=1)
    killer, waiting = receiver.wish(wait=0.3, crash=1), receiver.wish()
    _wait_for_the_end_of(receiver)

    receiver.app.restart()

    receiver.until(waiting["id"], "handled")
    shown = receiver.until(killer["id"], "handled")
    assert [each["finished_at"] is None for each in shown["attempts"]] == [True, False]
    assert receiver.result(killer["id"])["idempotency_key"] == f"billing/{killer['delivery_id']}"


def test_a_delivery_that_kills_the_process_each_time_becomes_a_dead_letter(start: Any) -> None:
    receiver = start(handler_timeout_seconds=0.6, max_attempts=2, concurrency=1)
    killer = receiver.wish(wait=0.3, crash=9)

    for _ in range(2):
        _wait_for_the_end_of(receiver)
        receiver.app.restart()

    shown = receiver.until(killer["id"], "dead")
    assert [each["finished_at"] for each in shown["attempts"]] == [None, None]
    assert shown["error"]


def test_a_stop_gives_back_what_is_being_handled_and_counts_no_attempt(start: Any) -> None:
    receiver = start(handler_timeout_seconds=600, max_attempts=1, concurrency=1)
    delivery = receiver.wish(wait=1)
    end = time.monotonic() + 20
    while not receiver.show(delivery["id"])["attempts"]:
        assert time.monotonic() < end, "the delivery was never begun"

    receiver.app.restart()

    shown = receiver.until(delivery["id"], "handled")
    assert len(shown["attempts"]) == 2
    assert shown["attempts"][0]["finished_at"] is not None
