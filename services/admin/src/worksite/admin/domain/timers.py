"""The one timer that a task may have running, made from its state alone.

A timer is put again whenever the state wants another one than the state before it. What an earlier timer says is then
stale: `due` counts only when the state still waits for it, so nobody has to take a timer back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from worksite.common.messages import TaskState, TimerDue
from worksite.common.subjects import TimerPurpose


@dataclass(frozen=True)
class Timer:
    """What ends the task when it has not moved on by then."""

    purpose: TimerPurpose
    at: datetime


def timer_of(state: TaskState) -> Timer | None:
    """A task at work has its deadline, one before a gate the end of the approver's time; nothing else is timed."""
    if state.status == "running":
        return Timer("deadline", state.deadline)
    if state.status == "needs_input" and state.approval:
        return Timer("approval", state.approval.expires_at)
    return None


def counts(due: TimerDue, state: TaskState) -> bool:
    """Is it the timer that the state waits for? One that was put before the time was extended comes too early."""
    timer = timer_of(state)
    return timer is not None and timer.purpose == due.purpose and timer.at <= due.at
