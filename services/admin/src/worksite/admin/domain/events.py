"""What admin decides about, and what a decision is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worksite.common.messages import (
    TERMINAL,
    ApprovalGiven,
    CancelRequested,
    InputGiven,
    StepResult,
    SubmitTask,
    TaskState,
)

TaskEvent = SubmitTask | StepResult | CancelRequested | InputGiven | ApprovalGiven


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
    """One move of a task. `after.commands` is what to ask of agents, `abandoned_step` what to take away from them."""

    before: TaskState | None
    after: TaskState

    @property
    def abandoned_step(self) -> str | None:
        """The step that was in flight when the task was cancelled."""
        return self.before.step if self.before and self.after.status == "cancelled" else None

    @property
    def stops(self) -> bool:
        """True when nothing is in flight any more: the task has ended or waits for a person."""
        return self.after.status in TERMINAL or self.after.status == "needs_input"
