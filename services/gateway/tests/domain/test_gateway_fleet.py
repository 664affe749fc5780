"""What the others' counts do to one replica's limit, and which windows are looked at."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.gateway.domain.fleet import Seen, first_seen, windows
from worksite.gateway.domain.rates import DEBT_SECONDS, Limit, Meter, charged, gcra, take

LIMIT = Limit("tenant", per_second=10, burst=20)


def test_what_others_take_is_missing_here() -> None:
    meter = Meter(LIMIT)
    take([(meter, "acme")], 100, 5)
    meter.charge("acme", 12, since=100, now=100)

    assert meter.ask("acme", 100, 1).remaining == 20 - 5 - 12 - 1


def test_a_debt_is_waited_for_and_then_the_rate_goes_on() -> None:
    meter = Meter(LIMIT)
    take([(meter, "acme")], 100, 20)
    meter.charge("acme", 30, since=100, now=100)

    assert not meter.ask("acme", 103, 1).allowed
    assert meter.ask("acme", 103.1, 1).allowed


def test_others_who_keep_to_the_rate_leave_a_newcomer_only_what_they_left_of_the_burst() -> None:
    spent, left = Meter(LIMIT), Meter(LIMIT)
    spent.charge("acme", 20 + 90, since=100, now=109)
    left.charge("acme", 90, since=100, now=109)

    assert not spent.ask("acme", 109, 1).allowed
    assert left.ask("acme", 109, 20).allowed


def test_no_total_however_wrong_shuts_a_key_out_for_longer_than_the_longest_debt() -> None:
    meter = Meter(LIMIT)
    meter.charge("acme", 10**12, since=0, now=100)

    assert meter.ask("acme", 100, 1).wait_seconds == pytest.approx(DEBT_SECONDS + 0.1)


def test_a_longer_debt_of_its_own_is_not_forgiven_by_a_charge() -> None:
    assert charged(LIMIT, full_at=200, since=100, units=1, now=100) == 200


@given(
    full_at=st.floats(0, 300),
    since=st.floats(0, 100),
    units=st.integers(-5, 10**9),
    later=st.floats(0, 100),
)
def test_others_never_make_a_limit_wider(full_at: float, since: float, units: int, later: float) -> None:
    now = since + later
    after = charged(LIMIT, full_at, since, units, now)

    assert gcra(LIMIT, after, now, 1).remaining <= gcra(LIMIT, full_at, now, 1).remaining


def test_what_is_let_through_is_told_once_and_of_what_is_denied_only_that_it_was_asked() -> None:
    meter = Meter(Limit("tenant", 1, 5))
    take([(meter, "acme")], 0, 5)
    assert meter.tell(10) == [("acme", 5)]

    take([(meter, "acme")], 0, 1)

    assert meter.tell(10) == [("acme", 0)]
    assert meter.tell(10) == []


def test_more_keys_than_are_told_at_once_wait_their_turn() -> None:
    meter = Meter(Limit("tenant", 1, 5))
    for key in "abc":
        take([(meter, key)], 0, 1)

    assert [meter.tell(2), meter.tell(2)] == [[("a", 1), ("b", 1)], [("c", 1)]]


def test_there_are_never_more_counts_than_keys_fit() -> None:
    meter = Meter(Limit("tenant", 1, 5), capacity=2)
    for key in "abca":
        take([(meter, key)], 0, 1)

    assert meter.tell(10) == [("a", 2), ("b", 1)]


def test_the_others_part_is_what_a_total_grew_by_beyond_our_own() -> None:
    seen = Seen(since=0)

    assert [seen.others(7, 3, 10), seen.others(7, 2, 12), seen.others(7, 0, 15)] == [7, 0, 3]


def test_a_total_that_started_anew_charges_nothing_and_is_gone_on_from() -> None:
    seen = Seen(since=0, totals={7: 50})

    assert [seen.others(7, 2, 2), seen.others(7, 0, 6)] == [0, 4]


def test_the_window_before_counts_only_while_late_clocks_may_be_in_it() -> None:
    assert [windows(120.0), windows(121.9), windows(122.0), windows(129.9)] == [(12, 11), (12, 11), (12,), (12,)]


def test_of_a_new_key_nothing_is_known_since_the_oldest_window_began() -> None:
    assert first_seen(now=1000, unix_seconds=125).since == 995
    assert first_seen(now=1000, unix_seconds=121).since == 989
