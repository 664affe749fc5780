"""What the counts of all gateways, added up, say about the limits of one.

Each replica adds what it let through to the key's counter of the current window, and gets the total back. What that
grew by, beyond its own part, the others let through. Clocks may differ: for SKEW_SECONDS the window before is still
looked at, because a replica whose clock is late still counts there; one whose clock is early is caught up with when
the others reach its window.
"""

from __future__ import annotations

from dataclasses import dataclass, field

WINDOW_SECONDS = 10
SKEW_SECONDS = 2
"""How far the replicas' clocks may be apart without a unit being missed."""


def windows(unix_seconds: float) -> tuple[int, ...]:
    """The windows that matter now: the one to count in first."""
    current = int(unix_seconds // WINDOW_SECONDS)
    is_young = unix_seconds - current * WINDOW_SECONDS < SKEW_SECONDS
    return (current, current - 1) if is_young else (current,)


@dataclass
class Seen:
    """What one replica knows of one key's totals."""

    since: float
    """Until when it knows what the others let through; a monotonic time."""
    totals: dict[int, int] = field(default_factory=dict[int, int])
    """By window, its own part included."""

    def others(self, window: int, own: int, total: int) -> int:
        """What the others let through since the last look, where `own` units of ours are new in the total.

        A total that shrank belongs to a bus that started anew: it proves nothing.
        """
        grown = total - self.totals.get(window, 0) - own
        self.totals[window] = total
        return max(0, grown)

    def forget_before(self, window: int) -> None:
        """Windows that nobody looks at any more."""
        self.totals = {seen: total for seen, total in self.totals.items() if seen >= window}


def first_seen(now: float, unix_seconds: float) -> Seen:
    """Of a key that this replica has not looked at lately: nothing is known since the oldest window began."""
    oldest = windows(unix_seconds)[-1]
    return Seen(since=now - (unix_seconds - oldest * WINDOW_SECONDS))
