"""Wall clocks that are set while processes run: forward by hours, and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random

from virtual_time import VirtualTimeLoop

_FURTHEST = timedelta(hours=6)
"""Longer than any deadline of a schedule."""


class Clocks:
    """One for each machine. Drawn apart from all else, so that a schedule's other faults stay what they were."""

    def __init__(self, loop: VirtualTimeLoop, seed: int, seconds: float) -> None:
        self._loop = loop
        self._rng = Random(f"clocks {seed}")
        self._seconds = seconds
        self._jumping = self._rng.random() < 0.3

    def another(self) -> Callable[[], datetime]:
        """Of a machine of its own: right in most schedules, in the others set up to three times."""
        jumps = [self._jump() for _ in range(self._rng.randint(0, 3) if self._jumping else 0)]

        def now() -> datetime:
            return self._loop.today() + sum((by for at, by in jumps if at <= self._loop.time()), timedelta())

        return now

    def _jump(self) -> tuple[float, timedelta]:
        """When, in seconds of the schedule, and by how much."""
        return self._rng.random() * self._seconds, _FURTHEST * self._rng.uniform(-1, 1)
