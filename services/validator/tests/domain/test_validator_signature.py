"""Failure signatures."""

from __future__ import annotations

from worksite.validator.domain.cases import LAST_WORDS
from worksite.validator.domain.signature import failure_signature, normalised

FIRST = """\
/tmp/vstate/workspace-a1b2c3/acceptance/test_x.py:48: in test_login
    assert response.status == 200
E   AssertionError: assert 500 == 200
E    +  where 500 = post('/login', json={'email': 'Hviqmcbenv@bhqgbktuyc.example'}) at 0x7f9206374b90
"""
SECOND = (
    FIRST.replace("workspace-a1b2c3", "workspace-zz99")
    .replace(":48:", ":51:")
    .replace("Hviqmcbenv@bhqgbktuyc", "Abcdefghij@klmnopqrst")
    .replace("0x7f9206374b90", "0x7fffffff0000")
)


def test_rounds_that_fail_alike_have_one_signature_whatever_varies_between_runs() -> None:
    assert failure_signature([("login", FIRST)]) == failure_signature([("login", SECOND)])


def test_what_the_candidate_printed_is_not_part_of_the_failure() -> None:
    noisy = f"{FIRST}{LAST_WORDS}\nFile x.py, line 3, noise"

    assert failure_signature([("login", noisy)]) == failure_signature([("login", FIRST)])


def test_the_order_of_failures_does_not_matter() -> None:
    failures = [("a", FIRST), ("b", "boom")]

    assert failure_signature(failures) == failure_signature(reversed(failures))


def test_another_test_or_another_value_is_another_signature() -> None:
    assert failure_signature([("login", FIRST)]) != failure_signature([("logout", FIRST)])
    assert failure_signature([("login", FIRST)]) != failure_signature([("login", FIRST.replace("500", "404"))])


def test_nothing_failed_means_no_signature() -> None:
    assert failure_signature([]) is None


def test_addresses_times_durations_directories_and_lines_are_left_out() -> None:
    text = "/a/b/c.py:12: at 0xdeadbeef after 1.25 s on 2026-11-22T15:16:30Z, line 7"

    assert normalised(text) == "c.py:?: at <address> after <duration> on <time>, line ?"
