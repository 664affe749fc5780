"""Approval gates: a task waits until an approver has spoken about exactly what was made."""

from __future__ import annotations

from datetime import datetime, timedelta

from worksite.admin.domain import stopping
from worksite.common.messages import Approval, ApprovalGiven, Problem, TaskState


def is_shut(state: TaskState) -> bool:
    """Does the design that has just been written need somebody's word?"""
    return "design" in state.options.approve


def waiting_for_approval(state: TaskState, time_to_approve: timedelta) -> TaskState:
    """Bound to the Spec's digest: what is approved is what is built, and nothing else."""
    assert state.spec
    asked = Approval(gate="design", digest=state.spec.spec.sha256, expires_at=state.updated_at + time_to_approve)
    return stopping.stopped(state, "needs_input", "The design waits for an approver.").model_copy(
        update={"approval": asked}
    )


def answers(given: ApprovalGiven, at: datetime, state: TaskState) -> bool:
    """Is it a word, in time, on what the task waits for?"""
    asked = state.approval
    return (
        state.status == "needs_input"
        and asked is not None
        and (given.gate, given.digest) == (asked.gate, asked.digest)
        and at < asked.expires_at
    )


def rejected(state: TaskState, given: ApprovalGiven) -> TaskState:
    """The approver calls the task off."""
    why = f": {given.comment}" if given.comment else ""
    reason = f"The {given.gate} was rejected by {given.principal}{why}"
    return stopping.stopped(state, "cancelled", reason)


def expired(state: TaskState, asked: Approval) -> TaskState:
    """Nobody spoke in time."""
    until = asked.expires_at.isoformat(timespec="seconds")
    detail = f"Nobody approved the {asked.gate} until {until}. Submit the task again when an approver is there."
    return stopping.failed(state, Problem(code="approval_expired", detail=detail))
