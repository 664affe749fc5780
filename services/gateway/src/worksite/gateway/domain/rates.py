"""Rate limits by the generic cell rate algorithm: ITU-T Recommendation I.371, annex A, as virtual scheduling.

A key's whole state is one time, its theoretical arrival time (TAT): when its burst will be whole again. What is taken
moves it into the future by `cost / per_second`, and nothing may move it further ahead of now than a whole burst takes.
So a key whose TAT has passed is worth no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

CAPACITY = 100_000
"""Keys remembered per limit; beyond that the one that took last longest ago has its burst back."""
_SWEPT_PER_TURN = 2
_ROUNDING = 1e-7
"""Seconds: more than sums of times lose to rounding while a clock is months old."""


@dataclass(frozen=True)
class Limit:
    """`burst` units at once, `per_second` in the long run."""

    name: str
    per_second: float
    burst: int

    @property
    def burst_seconds(self) -> float:
        """How long a burst takes to come back."""
        return self.burst / self.per_second


@dataclass(frozen=True)
class Standing:
    """What became of one question, and where that leaves the key."""

    limit: Limit
    allowed: bool
    full_at: float
    """The TAT: unchanged where it was denied."""
    remaining: int
    """Units that could be taken at once."""
    full_seconds: float
    """Until the whole burst is there again."""
    wait_seconds: float
    """Until the same would be allowed; 0 if it is."""


def gcra(limit: Limit, full_at: float, now: float, cost: int) -> Standing:
    """May `cost` units (at most a burst) be taken now? Times are seconds of one monotonic clock."""
    begins = max(full_at, now)
    ahead = begins + cost / limit.per_second
    wait = ahead - now - limit.burst_seconds
    allowed = wait <= _ROUNDING
    left = ahead if allowed else begins
    return Standing(
        limit=limit,
        allowed=allowed,
        full_at=left,
        remaining=floor((limit.burst_seconds - (left - now) + _ROUNDING) * limit.per_second),
        full_seconds=left - now,
        wait_seconds=0 if allowed else wait,
    )


class Meter:
    """One limit with the keys it holds for."""

    def __init__(self, limit: Limit, capacity: int = CAPACITY) -> None:
        self._limit = limit
        self._capacity = capacity
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def ask(self, key: str, now: float, cost: int) -> Standing:
        """What would come of it; nothing is taken."""
        return gcra(self._limit, self._full_at.get(key, now), now, cost)

    def keep(self, key: str, standing: Standing, now: float) -> None:
        """Take what was allowed. Every turn forgets more keys that are full again than it can add."""
        self._full_at[key] = standing.full_at
        self._full_at.move_to_end(key)
        for _ in range(_SWEPT_PER_TURN):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] <= now or len(self._full_at) > self._capacity:
                del self._full_at[oldest]


def take(asked: Sequence[tuple[Meter, str]], now: float, cost: int) -> tuple[Standing, ...]:
    """Take from all of them, or, where one denies, from none."""
    standings = tuple(meter.ask(key, now, cost) for meter, key in asked)
    if all(standing.allowed for standing in standings):
        for (meter, key), standing in zip(asked, standings, strict=True):
            meter.keep(key, standing, now)
    return standings
