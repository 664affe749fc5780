"""When a task stops: the rules, and the states it stops in."""

from __future__ import annotations

from worksite.admin.domain import escalation
from worksite.admin.domain.packages import at_rest
from worksite.admin.domain.routes import STEPS
from worksite.common.messages import CancelRequested, Judgement, Problem, Question, TaskState
from worksite.common.messages.tasks import TaskStatus


def reason_to_stop(state: TaskState, judgement: Judgement) -> str | None:
    """Why no round follows this verdict, in a sentence; None when another round may mend it.

    `state.signatures` are the failure signatures of the rounds before this one.
    """
    if judgement.verdict == "PASS":
        return f"Passed in round {state.round}."
    if judgement.verdict == "ENVIRONMENT":
        return f"The change could not be judged: {judgement.summary}"
    if "build" not in STEPS[state.route.route]:
        return "The change under review does not pass."
    if escalation.is_stuck(state, judgement) and not escalation.is_worth_escalating(state):
        again = "again, with a larger model too" if escalation.is_escalated(state) else "twice"
        return f"Stopped after round {state.round}: the same failure {again}."
    if state.round >= state.options.max_rounds:
        return f"Stopped after round {state.round}: no more rounds are allowed."
    if is_late(state):
        return f"Stopped after round {state.round}: the deadline has passed."
    return None


def is_late(state: TaskState) -> bool:
    """Measured by the time of the last event: decisions have no other clock."""
    return state.updated_at >= state.deadline


def completed(state: TaskState, reason: str) -> TaskState:
    """The route has been walked to its end; on the routes that judge, the verdict says how it went."""
    return stopped(state, "completed", reason)


def failed(state: TaskState, problem: Problem) -> TaskState:
    """An agent could not do its job."""
    return stopped(state, "failed", problem.detail).model_copy(update={"problem": problem})


def waiting(state: TaskState, question: Question) -> TaskState:
    """The task cannot go on without a person."""
    return stopped(state, "needs_input", question.reason).model_copy(update={"question": question})


def cancelled(state: TaskState, request: CancelRequested) -> TaskState:
    """Somebody called the task off."""
    why = f": {request.reason}" if request.reason else ""
    return stopped(state, "cancelled", f"Cancelled by {request.principal}{why}")


def too_late(state: TaskState, action: str) -> TaskState:
    """The deadline came before the next step could be commanded."""
    detail = f"The deadline, {state.deadline.isoformat(timespec='seconds')}, passed before the {action} could begin."
    return failed(state, Problem(code="deadline", detail=detail))


def out_of_time(state: TaskState) -> TaskState:
    """The deadline came while something was in flight."""
    until, steps = state.deadline.isoformat(timespec="seconds"), state.in_flight
    under_way = f"{', '.join(steps)} {'were' if len(steps) > 1 else 'was'} under way"
    return failed(state, Problem(code="deadline", detail=f"The deadline, {until}, passed while {under_way}."))


def stopped(state: TaskState, status: TaskStatus, reason: str) -> TaskState:
    """Nothing is in flight any more, and no approver's word is waited for."""
    nothing = {"step": None, "packages": at_rest(state.packages), "approval": None}
    return state.model_copy(update={"status": status, "reason": reason, **nothing})
