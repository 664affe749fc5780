"""How soon the work of a worker that was killed goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nemesis import Strike
from worksite.admin.domain.routes import agent_of
from worksite.common.subjects import ACK_WAIT_SECONDS

BUDGET_SECONDS = ACK_WAIT_SECONDS + 5.0
"""DESIGN's, from the kill; what a supervisor deliberately waits before it starts the worker again is added."""
_AFTERWARDS_SECONDS = 5.0
"""What a fault does to others may outlast it: connections are made again, fetches come back."""
Event = dict[str, Any]


@dataclass(frozen=True)
class Resumed:
    """A step that was commanded to a worker when that was killed."""

    step: str
    worker: str
    seconds: float
    allowed: float

    @property
    def late(self) -> bool:
        return self.seconds > self.allowed

    def __str__(self) -> str:
        return f"{self.step} went on {self.seconds:.1f} s after {self.worker} was killed, allowed {self.allowed:.1f} s"


def resumed(events: list[Event], strikes: Iterable[Strike]) -> Iterator[Resumed]:
    """Of one task, for each kill of the worker at its step. Left out is whatever a second fault may have delayed."""
    strikes = tuple(strikes)
    for strike in strikes:
        if strike.fault.kind == "kill" and (step := _in_flight(events, strike)):
            moved = _moved(events, step, strike.since)
            if moved and not any(_disturbs(other, strike, moved) for other in strikes):
                waited = strike.until - strike.since
                yield Resumed(step, strike.fault.program, moved - strike.since, BUDGET_SECONDS + waited)


def _in_flight(events: list[Event], strike: Strike) -> str | None:
    """The step that the task waited for at that moment, if it was the victim's."""
    before = [event for event in events if _time(event["time"]) < strike.since]
    states = [event["body"]["step"] for event in before if event["kind"] == "state"]
    step = states[-1] if states else None
    answered = any(event["kind"] == "result" and event["step"] == step for event in before)
    return step if step and not answered and agent_of(step) == strike.fault.program else None


def _moved(events: list[Event], step: str, since: float) -> float | None:
    """When it was begun anew, or else when there was a sign of it; None when it was taken away."""
    signs: list[float] = []
    for event in events:
        if event["step"] == step and event["kind"] in ("result", "progress"):
            signs.append(_time(event["time"]))
        if event["step"] == step and event["kind"] == "result":
            signs.append(_time(event["body"]["started_at"]))
    return min((sign for sign in signs if sign > since), default=None)


def _disturbs(other: Strike, strike: Strike, moved: float) -> bool:
    return other is not strike and other.since < moved and other.until + _AFTERWARDS_SECONDS > strike.since


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
