"""What admin decides about, and what a decision is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worksite.admin.domain.timers import Timer, timer_of
from worksite.common.messages import (
    TERMINAL,
    ApprovalGiven,
    CancelRequested,
    InputGiven,
    StepResult,
    SubmitTask,
    TaskState,
    TimerDue,
)

TaskEvent = SubmitTask | StepResult | CancelRequested | InputGiven | ApprovalGiven | TimerDue


@dataclass(frozen=True)
class Event:
    """Something that happened to a task: the message with the id and the time of its envelope.

    The time is the only clock that decisions know.
    """

    id: str
    time: datetime
    message: TaskEvent


@dataclass(frozen=True)
class Transition:
    """One move of a task. `after.commands` is what to ask of agents, `abandoned_steps` what to take away from them."""

    before: TaskState | None
    after: TaskState

    @property
    def abandoned_steps(self) -> tuple[str, ...]:
        """The steps that were in flight and that nobody waits for any more, though they were not answered."""
        if self.before is None:
            return ()
        answered = {record.step for record in self.after.history[len(self.before.history) :]}
        wanted = answered.union(self.after.in_flight)
        return tuple(step for step in self.before.in_flight if step not in wanted)

    @property
    def timer(self) -> Timer | None:
        """The timer to put; None where the task needs none, or has it already."""
        wanted = timer_of(self.after)
        return None if self.before and timer_of(self.before) == wanted else wanted

    @property
    def stops(self) -> bool:
        """True when nothing is in flight any more: the task has ended or waits for a person."""
        return self.after.status in TERMINAL or self.after.status == "needs_input"
