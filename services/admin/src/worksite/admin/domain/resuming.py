"""A person has answered: what the task does now.

It goes on at the step that asked, which is given the answer beside the request. An answer that names a route starts
the task again along it.
"""

from __future__ import annotations

from datetime import datetime

from worksite.admin.domain.routes import action_of
from worksite.common.messages import InputGiven, Question, RouteDecision, TaskState
from worksite.common.messages.base import json_bytes
from worksite.common.messages.replies import Action
from worksite.common.messages.tasks import MAX_REQUEST_BYTES

_WORK = ("imported", "spec", "changeset", "judgement")


def with_input(state: TaskState, given: InputGiven, at: datetime) -> TaskState:
    """The state with the answer in it, at work again."""
    again = step_that_asked(state) == "build"  # it opens the same round, not another one
    update = {"round": state.round - again, "inputs": (*state.inputs, given.text)}
    return at_work_again(state, at).model_copy(update=update)


def at_work_again(state: TaskState, at: datetime) -> TaskState:
    """What the task waited for has come. The time that it waited is not charged to its deadline."""
    return state.model_copy(
        update={
            "question": None,
            "approval": None,
            "reason": None,
            "status": "running",
            "deadline": state.deadline + (at - state.updated_at),
            "updated_at": at,
        }
    )


def rerouted(state: TaskState, given: InputGiven) -> TaskState:
    """The state on the route that the answer names, with nothing done yet; as it is where the answer names none.

    Rounds count from 1 again: they are those of the new route.
    """
    if given.route is None:
        return state
    decision = RouteDecision(
        route=given.route, stage="explicit", reason="the client's answer names it", confidence=1.0, latency_ms=0.0
    )
    nothing = {"round": 0, "signatures": (), "packages": (), **dict.fromkeys(_WORK)}
    return state.model_copy(update={"route": decision, **nothing})


def step_that_asked(state: TaskState) -> Action | None:
    """The step whose agent needs input; None where the route has yet to begin, as after another one was left.

    Then admin itself has asked, or the first step did, which is where the route begins.
    """
    last = state.history[-1] if state.history and state.imported else None
    return action_of(last.step) if last and last.status == "needs_input" else None


def too_long(state: TaskState) -> Question | None:
    """Says so when request and answers together are more than may travel. The gateway refuses that first; only
    answers that come at once get here."""
    size = json_bytes((state.request, *state.inputs))
    if size <= MAX_REQUEST_BYTES:
        return None
    return Question(
        reason=f"The request and its answers are {size} bytes; at most {MAX_REQUEST_BYTES} fit.",
        hint="Cancel this task and submit one with a request that says it in fewer words.",
    )
