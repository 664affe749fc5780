"""The fleet's pace: under the provider's limits together, close to them, and stopped when the provider says so."""

from __future__ import annotations

import asyncio
import heapq
import itertools

import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.llm.errors import ModelUnavailable
from worksite.common.llm.governor import LONGEST_PAUSE_SECONDS, Governor
from worksite.common.llm.pacing import Pace, PaceLimits
from worksite.common.llm.usage import Usage
from worksite.common.testing.messages_api.limits import Limiter, Limits
from worksite.common.testing.messages_api.refusals import Refusal

MODEL = "claude-haiku-5-5"
NOON = 1_795_348_800.0
LIMITS = PaceLimits(requests=60, input_tokens=60_000, output_tokens=6_000)


def started(limits: PaceLimits, calls: list[tuple[int, int]], now: float = NOON) -> list[float]:
    """When calls of (input, output) start that all come at once, in seconds."""
    pace, waits = Pace(mean_output=0), []
    for input_tokens, output_tokens in calls:
        pace, wait = pace.admitted(limits, input_tokens, output_tokens, now)
        waits.append(round(wait, 3))
    return waits


def test_a_burst_starts_at_once_and_the_rest_at_the_rate() -> None:
    assert started(PaceLimits(requests=60, burst_seconds=3), [(0, 0)] * 5) == [0, 0, 0, 1, 2]


@pytest.mark.parametrize(("call", "seconds"), [((2000, 0), 2), ((0, 200), 2), ((500, 50), 1)])
def test_the_scarcest_limit_sets_the_pace(call: tuple[int, int], seconds: int) -> None:
    waits = started(LIMITS, [call] * 30)
    assert waits[-1] - waits[-2] == seconds


def test_a_call_larger_than_a_burst_starts_when_all_is_paid_and_is_a_debt_to_those_after() -> None:
    assert started(PaceLimits(input_tokens=60_000, burst_seconds=10), [(30_000, 0), (1_000, 0)]) == [0, 21]


def test_no_limit_no_wait() -> None:
    assert started(PaceLimits(), [(10**9, 10**9)] * 3) == [0, 0, 0]


def test_what_was_not_used_is_given_back_and_what_was_used_beyond_is_owed() -> None:
    pace, _ = Pace().admitted(LIMITS, 10_000, 1_000, NOON)
    back = pace.settled(LIMITS, -10_000, -1_000, 0)
    assert (back.input_at, back.output_at) == (pytest.approx(NOON), pytest.approx(NOON))
    assert pace.settled(LIMITS, 0, 600, 1_600).output_at == pytest.approx(pace.output_at + 6)


def test_the_expected_output_follows_what_calls_put_out() -> None:
    pace = Pace()
    assert pace.expected_output(4_000) == 1_000
    for _ in range(30):
        pace = pace.settled(LIMITS, 0, 0, 200)
    assert pace.expected_output(4_000) == 200
    assert pace.expected_output(50) == 50


def test_a_broken_reply_says_nothing_of_the_mean() -> None:
    assert Pace(mean_output=300).settled(LIMITS, 0, 0, None).mean_output == 300


def test_nobody_starts_before_the_provider_wants() -> None:
    _, wait = Pace().paused(NOON + 7).admitted(LIMITS, 1, 1, NOON)
    assert wait == 7


def test_twenty_builders_use_nine_tenths_of_what_is_allowed_and_are_hardly_ever_refused() -> None:
    """Ten minutes of simulated time against the local server's own limiter: each builder calls again as soon as it has
    its reply, with outputs that nobody can foresee; prompts grow, are mostly cached, and are guessed 15 % wrong."""
    limiter = Limiter(Limits(requests=120, input_tokens=120_000, output_tokens=24_000), NOON)
    limits = PaceLimits(requests=120, input_tokens=120_000, output_tokens=24_000)
    pace, refused, served, put_out = Pace(), 0, 0, 0
    order = itertools.count()
    events: list[tuple[float, int, str, tuple[int, int, int]]] = [
        (NOON + n * 0.01, next(order), "ask", (n, 0, 0)) for n in range(20)
    ]
    while events[0][0] < NOON + 600:
        now, number, what, (turn, input_tokens, expected) = heapq.heappop(events)
        if what == "ask":
            guess = 700 + turn % 7 * 100
            output = pace.expected_output(4_000)
            pace, wait = pace.admitted(limits, guess, output, now)
            heapq.heappush(events, (now + wait, next(order), "start", (turn, guess, output)))
        elif what == "start":
            used, output = round(input_tokens * (0.85 + number % 7 * 0.05)), 60 + number * 37 % 400
            try:
                limiter.admit(used, now)
            except Refusal as refusal:
                refused += 1
                pace = pace.settled(limits, -input_tokens, -expected, None)
                pace = pace.paused(now + float(refusal.headers["retry-after"]))
                heapq.heappush(events, (now, next(order), "ask", (turn, 0, 0)))
                continue
            limiter.put_out(output)
            served, put_out = served + 1, put_out + output
            pace = pace.settled(limits, used - input_tokens, output - expected, output)
            heapq.heappush(events, (now + 1 + output / 80, next(order), "ask", (turn + 1, 0, 0)))
    most = max(served / 1200, put_out / 240_000)
    assert most >= 0.9
    assert refused < 0.01 * served


class World:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = NOON
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def governor(bus: Bus, world: World, limits: PaceLimits = LIMITS) -> Governor:
    return Governor(bus, {MODEL: limits}, clock=lambda: world.now, sleep=world.sleep)


@pytest.mark.asyncio
async def test_replicas_share_one_pace(bus: Bus) -> None:
    world = World()
    replicas = [governor(bus, world, PaceLimits(requests=60, burst_seconds=5)) for _ in range(3)]

    await asyncio.gather(*(replica.admit(MODEL, 1, 1, 100) for replica in replicas for _ in range(5)))

    assert sorted(round(seconds) for seconds in world.slept) == list(range(1, 11))


@pytest.mark.asyncio
async def test_a_moment_too_far_away_is_not_waited_for_and_nothing_is_taken(bus: Bus) -> None:
    world = World()
    fleet = governor(bus, world, PaceLimits(requests=1, burst_seconds=60))
    await fleet.admit(MODEL, 1, 1, 10)
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="60 s"):
            await fleet.admit(MODEL, 1, 1, 10)
    assert world.slept == []


@pytest.mark.asyncio
async def test_what_a_call_did_not_use_others_can(bus: Bus) -> None:
    world = World()
    fleet = governor(bus, world, PaceLimits(input_tokens=60_000, burst_seconds=10))
    given = await fleet.admit(MODEL, 10_000, 1, 0)
    await fleet.settle(given, Usage(input_tokens=1_000, cache_read_tokens=9_000, output_tokens=1))
    await fleet.admit(MODEL, 9_000, 1, 0)
    with pytest.raises(ModelUnavailable):
        await fleet.admit(MODEL, 1_000, 1, 0)


@pytest.mark.asyncio
async def test_a_refused_call_gives_all_its_tokens_back(bus: Bus) -> None:
    fleet = governor(bus, World(), PaceLimits(input_tokens=60_000, burst_seconds=10))
    await fleet.settle(await fleet.admit(MODEL, 10_000, 1, 0), None)
    await fleet.admit(MODEL, 10_000, 1, 0)


@pytest.mark.asyncio
async def test_a_refusal_stops_all_replicas_but_never_for_longer_than_is_sane(bus: Bus) -> None:
    world = World()
    await governor(bus, world).pause(MODEL, 4_294_967_295)
    await governor(bus, world).admit(MODEL, 1, 1, 100)
    assert world.slept == [LONGEST_PAUSE_SECONDS]


@pytest.mark.asyncio
async def test_a_model_without_limits_is_not_held_back(bus: Bus) -> None:
    world = World()
    fleet = governor(bus, world)
    await fleet.settle(await fleet.admit("own/qwen:7b", 10**9, 10**9, 0), Usage())
    await fleet.pause("own/qwen:7b", 10)
    assert world.slept == []
    assert await KeyValue(bus, subjects.MODELS).entries() == []


@pytest.mark.asyncio
async def test_a_pace_that_cannot_be_read_begins_anew(bus: Bus) -> None:
    await KeyValue(bus, subjects.MODELS).create("pace.own-qwen-7b", b"{")
    fleet = Governor(bus, {"own/qwen:7b": LIMITS})
    assert (await fleet.admit("own/qwen:7b", 1, 400, 1)).output_tokens == 100
