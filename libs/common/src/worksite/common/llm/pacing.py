"""How the fleet shares a provider's limits: the generic cell rate algorithm (ITU-T I.371) as virtual scheduling.

Each limit is one time, the theoretical arrival time (TAT): when everything let through so far has been paid for by the
rate. Whoever asks is given a moment to start at and moves the TATs by what it expects to use; afterwards they are moved
by the difference to what it did use. Pure; `governor.py` keeps the value for everybody.
"""

from __future__ import annotations

from dataclasses import dataclass

from worksite.common.messages.base import Model

_WEIGHT = 0.2
"""Of the newest output in the moving mean."""


@dataclass(frozen=True)
class PaceLimits:
    """The provider's, for a minute; none: no limit. `burst_seconds`: how much of a minute may be used at once."""

    requests: float | None = None
    input_tokens: float | None = None
    output_tokens: float | None = None
    burst_seconds: float = 10.0

    def seconds(self, requests: float, input_tokens: float, output_tokens: float) -> tuple[float, float, float]:
        """What that takes of each limit's time."""
        pairs = ((requests, self.requests), (input_tokens, self.input_tokens), (output_tokens, self.output_tokens))
        taken = [amount * 60 / limit if limit else 0.0 for amount, limit in pairs]
        return taken[0], taken[1], taken[2]


class Pace(Model):
    """What is known of one model's limits. Times are seconds since 1970."""

    requests_at: float = 0
    input_at: float = 0
    output_at: float = 0
    not_before: float = 0
    """The provider said so."""
    mean_output: float | None = None

    def expected_output(self, max_tokens: int) -> int:
        """Of one call: what calls put out lately, or a quarter of what is allowed."""
        return min(max_tokens, round(self.mean_output if self.mean_output is not None else max_tokens / 4) or 1)

    def admitted(self, limits: PaceLimits, input_tokens: int, output_tokens: int, now: float) -> tuple[Pace, float]:
        """The pace once this call is let through, and how many seconds it has to wait.

        A call larger than a burst waits until the burst is whole and is a debt to those after it.
        """
        times = (self.requests_at, self.input_at, self.output_at)
        costs = limits.seconds(1, input_tokens, output_tokens)
        ahead = [max(at, now) + cost for at, cost in zip(times, costs, strict=True)]
        room = [max(limits.burst_seconds, cost) for cost in costs]
        wait = max(0.0, self.not_before - now, *(at - now - burst for at, burst in zip(ahead, room, strict=True)))
        moved = {"requests_at": ahead[0], "input_at": ahead[1], "output_at": ahead[2]}
        return self.model_copy(update=moved), wait

    def returned(self, limits: PaceLimits, input_tokens: int, output_tokens: int) -> Pace:
        """A call that was let through was never made."""
        request, _, _ = limits.seconds(1, 0, 0)
        pace = self.settled(limits, -input_tokens, -output_tokens, None)
        return pace.model_copy(update={"requests_at": self.requests_at - request})

    def settled(self, limits: PaceLimits, more_input: int, more_output: int, output_tokens: int | None) -> Pace:
        """After the call: used so much more (or less) than expected. `output_tokens` of a whole reply, for the mean."""
        _, by_input, by_output = limits.seconds(0, more_input, more_output)
        mean = self.mean_output
        if output_tokens is not None:
            mean = output_tokens if mean is None else mean + _WEIGHT * (output_tokens - mean)
        moved = {"input_at": self.input_at + by_input, "output_at": self.output_at + by_output, "mean_output": mean}
        return self.model_copy(update=moved)

    def paused(self, until: float) -> Pace:
        """The provider wants nothing before then."""
        return self.model_copy(update={"not_before": max(self.not_before, until)})
