"""How soon the work of a worker that was killed goes on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nemesis import Strike
from worksite.admin.domain.routes import agent_of
from worksite.common.subjects import ACK_WAIT_SECONDS

BUDGET_SECONDS = ACK_WAIT_SECONDS + 5.0
"""DESIGN's, from the kill. What the supervisor deliberately waits before it starts the worker again is added, and what
the worker spends on other steps first."""
_AFTERWARDS_SECONDS = 5.0
"""What a fault does to others may outlast it: connections are made again, fetches come back."""
_INDEPENDENT = {"gateway", "architect", "builder", "validator"}


@dataclass(frozen=True)
class Step:
    """One step of one task, in seconds since 1970."""

    task: str
    name: str
    commanded: float
    signs: tuple[float, ...]
    """Of somebody at work on it: begun, a progress, the result."""
    begun: float
    answered: float

    @property
    def worker(self) -> str:
        return agent_of(self.name)


@dataclass(frozen=True)
class Resumed:
    """A step in flight when its worker, or who else is named, was killed."""

    step: str
    killed: str
    seconds: float
    allowed: float

    @property
    def late(self) -> bool:
        return self.seconds > self.allowed

    def __str__(self) -> str:
        return f"{self.step} went on {self.seconds:.1f} s after {self.killed} was killed, allowed {self.allowed:.1f} s"


def steps(task: str, events: list[dict[str, Any]]) -> Iterator[Step]:
    """Those that were answered."""
    for result in (event for event in events if event["kind"] == "result"):
        name = result["step"]
        commanded = [e["time"] for e in events if e["kind"] == "state" and e["body"]["step"] == name]
        progress = [_time(e["time"]) for e in events if e["kind"] == "progress" and e["step"] == name]
        begun, answered = _time(result["body"]["started_at"]), _time(result["time"])
        yield Step(task, name, _time(commanded[0]), (*progress, begun, answered), begun, answered)


def resumed(worked: Sequence[Step], strikes: Sequence[Strike]) -> Iterator[Resumed]:
    """For each kill of the worker of a step in flight. Left out is whatever a second fault may have delayed."""
    for strike in strikes:
        for step in worked:
            if _is_struck(step, strike):
                moved = min(sign for sign in step.signs if sign > strike.since)
                if not any(_disturbs(other, strike, moved) for other in strikes):
                    waited = strike.until - strike.since
                    allowed = BUDGET_SECONDS + waited + _busy(worked, step, strike.since, moved)
                    yield Resumed(f"{step.name} of task {step.task}", step.worker, moved - strike.since, allowed)


def _is_struck(step: Step, strike: Strike) -> bool:
    fault = strike.fault
    return fault.kind == "kill" and fault.program == step.worker and step.commanded < strike.since < step.answered


def _disturbs(other: Strike, strike: Strike, moved: float) -> bool:
    """A worker depends on itself, the bus, admin and rag."""
    if other is strike or other.fault.program in _INDEPENDENT - {strike.fault.program}:
        return False
    return other.since < moved and other.until + _AFTERWARDS_SECONDS > strike.since


def _busy(worked: Sequence[Step], waiting: Step, since: float, until: float) -> float:
    """Seconds in which the same worker had another step in hand."""
    spans = sorted(
        (max(step.begun, since), min(step.answered, until))
        for step in worked
        if step is not waiting and step.worker == waiting.worker and step.begun < until and step.answered > since
    )
    seconds, reached = 0.0, since
    for begun, ended in spans:
        seconds += max(0.0, ended - max(begun, reached))
        reached = max(reached, ended)
    return seconds


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
