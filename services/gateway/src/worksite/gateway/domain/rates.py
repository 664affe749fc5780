"""Rate limits by the generic cell rate algorithm: ITU-T Recommendation I.371, annex A, as virtual scheduling.

A key's whole state is one time, its theoretical arrival time (TAT): when its burst will be whole again. What is taken
moves it into the future by `cost / per_second`, and nothing may move it further ahead of now than a whole burst takes.
So a key whose TAT has passed is worth no memory.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from math import floor

CAPACITY = 100_000
"""Keys remembered per limit; beyond that the one that took last longest ago has its burst back."""
DEBT_SECONDS = 10.0
"""How much longer than a burst takes to come back a key waits at most because of what other replicas let through."""
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


def charged(limit: Limit, full_at: float, since: float, units: int, now: float) -> float:
    """The TAT once it is known that others let through so many units between `since` and now.

    It is where it would be had they been taken here, spread over that time: ahead by more than a burst if it must be,
    which is a debt that is waited for; but by a burst and DEBT_SECONDS at most, so that no wrong total shuts a key out.
    """
    utmost = now + limit.burst_seconds + DEBT_SECONDS
    return max(full_at, min(max(full_at, since) + units / limit.per_second, utmost)) if units > 0 else full_at


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
        self._untold: dict[str, int] = {}

    @property
    def limit(self) -> Limit:
        """What it holds its keys to."""
        return self._limit

    def __len__(self) -> int:
        return len(self._full_at)

    def ask(self, key: str, now: float, cost: int) -> Standing:
        """What would come of it; nothing is taken."""
        return gcra(self._limit, self._full_at.get(key, now), now, cost)

    def keep(self, key: str, standing: Standing, now: float) -> None:
        """Take what was allowed."""
        self._remember(key, standing.full_at, now)

    def _remember(self, key: str, full_at: float, now: float) -> None:
        """Every turn forgets more keys that are full again than it can add."""
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        for _ in range(_SWEPT_PER_TURN):
            oldest = next(iter(self._full_at))
            if self._full_at[oldest] <= now or len(self._full_at) > self._capacity:
                del self._full_at[oldest]

    def count(self, key: str, units: int) -> None:
        """Note for the other replicas what was let through: 0 where it was denied, and their part is of interest."""
        if key in self._untold or len(self._untold) < self._capacity:
            self._untold[key] = self._untold.get(key, 0) + units

    def tell(self, keys: int) -> list[tuple[str, int]]:
        """What was counted since it was told last, of so many keys at most, longest ago first."""
        told = list(islice(self._untold.items(), keys))
        for key, _ in told:
            del self._untold[key]
        return told

    def forget_untold(self) -> None:
        """There is nobody to tell."""
        self._untold.clear()

    def charge(self, key: str, units: int, since: float, now: float) -> None:
        """Others let through so many units between `since` and now."""
        full_at = charged(self._limit, self._full_at.get(key, since), since, units, now)
        if full_at > now:
            self._remember(key, full_at, now)


def take(asked: Sequence[tuple[Meter, str]], now: float, cost: int) -> tuple[Standing, ...]:
    """Take from all of them, or, where one denies, from none."""
    standings = tuple(meter.ask(key, now, cost) for meter, key in asked)
    allowed = all(standing.allowed for standing in standings)
    for (meter, key), standing in zip(asked, standings, strict=True):
        meter.count(key, cost if allowed else 0)
        if allowed:
            meter.keep(key, standing, now)
    return standings
