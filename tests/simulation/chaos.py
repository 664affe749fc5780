"""What goes wrong in a schedule, drawn from its seed: how likely each fault is, and when it strikes."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

CLIENT_TIMEOUT_SECONDS = 5.0
_RATES = (0.0, 0.0, 0.01, 0.03, 0.1)
_LONG_SECONDS = (1.0, 40.0)
"""Some longer than ack_wait: the work is somebody else's by then."""


@dataclass(frozen=True)
class Journey:
    """One call: seconds to the server and back; None where that part is lost."""

    there: float | None
    back: float | None


@dataclass(frozen=True)
class Weather:
    """Probabilities, each per call of a process."""

    loses_request: float
    loses_reply: float
    late: float
    lagging: float
    kill: float
    stop: float
    pause: float
    again: float

    @classmethod
    def drawn(cls, rng: Random) -> Weather:
        return cls(*(rng.choice(_RATES) for _ in cls.__dataclass_fields__))


class Chaos:
    """Faults until a moment; from then on everything works, so that the schedule can come to its end."""

    def __init__(self, rng: Random, seconds: float) -> None:
        self.rng = rng
        self.seconds = seconds
        self.weather = Weather.drawn(rng)

    def happens(self, probability: float, now: float) -> bool:
        return now < self.seconds and self.rng.random() < probability

    def moment(self) -> float:
        """Of one message on its way; seconds."""
        return self.rng.random() ** 3 * 0.05

    def long(self) -> float:
        return self.rng.uniform(*_LONG_SECONDS)

    def journey(self, now: float) -> Journey:
        weather = self.weather
        there, back = self.moment(), self.moment()
        if now >= self.seconds:
            return Journey(there, back)
        if self.rng.random() < weather.loses_request:
            return Journey(None, None)
        if self.rng.random() < weather.loses_reply:
            return Journey(there, None)
        if self.rng.random() < weather.late:
            return Journey(self.long(), back)
        return Journey(there, back)
