"""The generic cell rate algorithm, and what is remembered for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.gateway.domain.rates import Limit, Meter, gcra, take

SLOW = Limit("slow", per_second=2, burst=4)


def spent(limit: Limit, arrivals: list[tuple[float, int]]) -> list[bool]:
    """Which of the arrivals (time, cost) of one key are allowed."""
    full_at, allowed = 0.0, list[bool]()
    for now, cost in arrivals:
        standing = gcra(limit, full_at, now, cost)
        full_at = standing.full_at
        allowed.append(standing.allowed)
    return allowed


def test_a_burst_is_allowed_at_once_and_then_the_rate() -> None:
    at_once = [(0.0, 1)] * 5
    later = [(0.5, 1), (0.5, 1), (0.9, 1), (1.0, 1)]

    assert spent(SLOW, at_once + later) == [True] * 4 + [False] + [True, False, False, True]


def test_a_rested_key_has_one_burst_and_no_more() -> None:
    assert spent(SLOW, [(0.0, 4), *[(1000.0, 1)] * 5]) == [True] + [True] * 4 + [False]


def test_dear_operations_take_more() -> None:
    assert spent(SLOW, [(0.0, 3), (0.0, 3), (0.0, 1)]) == [True, False, True]


def test_a_standing_tells_what_is_left_and_how_long_to_wait() -> None:
    first = gcra(SLOW, full_at=0, now=10, cost=3)
    denied = gcra(SLOW, first.full_at, now=10, cost=3)

    assert (first.allowed, first.remaining, first.full_seconds, first.wait_seconds) == (True, 1, 1.5, 0)
    assert (denied.allowed, denied.remaining, denied.full_seconds, denied.wait_seconds) == (False, 1, 1.5, 1.0)
    assert gcra(SLOW, first.full_at, 10 + denied.wait_seconds, 3).allowed


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(5, 500),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 5)), max_size=60),
)
def test_no_stretch_of_time_lets_through_more_than_a_burst_and_what_its_rate_allows(
    rate: float, burst: int, steps: list[tuple[float, int]]
) -> None:
    limit, now, arrivals = Limit("any", rate, burst), 0.0, list[tuple[float, int]]()
    for pause, cost in steps:
        now += pause
        arrivals.append((now, cost))
    allowed = spent(limit, arrivals)

    for start in range(len(arrivals)):
        total = 0
        for index in range(start, len(arrivals)):
            total += arrivals[index][1] if allowed[index] else 0
            assert total <= burst + rate * (arrivals[index][0] - arrivals[start][0]) + 1e-3


@given(full_at=st.floats(0, 100), now=st.floats(0, 100), cost=st.integers(1, 4))
def test_whoever_waits_as_told_gets_it(full_at: float, now: float, cost: int) -> None:
    standing = gcra(SLOW, min(full_at, now + SLOW.burst_seconds), now, cost)

    assert gcra(SLOW, standing.full_at, now + standing.wait_seconds, cost).allowed or standing.wait_seconds == 0


def test_where_one_limit_denies_the_other_is_not_charged() -> None:
    wide, narrow = Meter(Limit("tenant", 1, 10)), Meter(Limit("principal", 1, 1))
    asked = [(narrow, "ada"), (wide, "acme")]
    take(asked, 0, 1)

    denied = take(asked, 0, 1)

    assert [standing.allowed for standing in denied] == [False, True]
    assert wide.ask("acme", 0, 1).remaining == 8  # of 10: one was taken, and one would be


def test_keys_do_not_share_a_burst() -> None:
    meter = Meter(Limit("principal", 1, 1))
    take([(meter, "ada")], 0, 1)

    assert not meter.ask("ada", 0, 1).allowed
    assert meter.ask("bob", 0, 1).allowed


def test_keys_that_are_full_again_are_forgotten() -> None:
    meter = Meter(Limit("principal", per_second=1, burst=10))
    for key in range(1000):
        take([(meter, str(key))], key / 1000, 1)  # all within a second: none is full again yet
    assert len(meter) == 1000

    for key in range(600):
        take([(meter, f"later-{key}")], 100, 1)

    assert len(meter) == 600


def test_there_are_never_more_keys_than_fit_and_the_newest_stay() -> None:
    meter = Meter(Limit("address", per_second=0.001, burst=1), capacity=3)
    for key in "abcde":
        take([(meter, key)], 0, 1)

    assert len(meter) == 3
    assert [meter.ask(key, 0, 1).allowed for key in "abcde"] == [True, True, False, False, False]


@pytest.mark.parametrize(("per_second", "burst", "seconds"), [(50, 100, 2), (0.5, 5, 10)])
def test_a_burst_comes_back_at_the_rate(per_second: float, burst: int, seconds: float) -> None:
    assert Limit("x", per_second, burst).burst_seconds == seconds


@pytest.mark.parametrize("now", [1000.1, 1e5 / 3, 1e6 / 3, 1e7 / 3])
@pytest.mark.parametrize("limit", [Limit("x", 50, 100), Limit("x", 7.3, 1000), Limit("x", 1e6, 100)])
def test_a_whole_burst_can_be_taken_and_is_counted_down_one_by_one_however_old_the_clock_is(
    now: float, limit: Limit
) -> None:
    meter, left = Meter(limit), list[int]()
    for _ in range(limit.burst):
        [standing] = take([(meter, "key")], now, 1)
        left.append(standing.remaining)

    assert left == list(range(limit.burst - 1, -1, -1))
    assert not meter.ask("key", now, 1).allowed
