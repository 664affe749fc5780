"""May this answer be given to that task now?"""

from __future__ import annotations

from worksite.common.messages import TaskEntry, TaskState
from worksite.common.messages.base import json_bytes
from worksite.common.messages.tasks import MAX_REQUEST_BYTES


class NotWaiting(Exception):
    """The task asks nothing, or what it asked has been answered; the text says which."""


class TooLong(Exception):
    """The request with all its answers would be more than may travel; the text has the numbers."""


def check(entry: TaskEntry, last_input: int, text: str) -> None:
    """Raises NotWaiting, TooLong. `last_input` is the stream sequence of the last answer given, 0 without one.

    States and answers lie in one stream: an answer after the state that asks is one that admin has yet to take up.
    """
    state = entry.state
    if state is None or state.status != "needs_input":
        raise NotWaiting(f"the task is {state.status if state else 'queued'} and asks nothing")
    if state.approval:
        raise NotWaiting(f"the task waits for an approver's word on its {state.approval.gate}, not for an answer")
    if last_input > entry.sequence:
        raise NotWaiting("the task's question has just been answered")
    _check_length(state, text)


def _check_length(state: TaskState, text: str) -> None:
    """By admin's measure."""
    size = json_bytes((state.request, *state.inputs, text))
    if size > MAX_REQUEST_BYTES:
        raise TooLong(
            f"the request and all answers would be {size} bytes as JSON; at most {MAX_REQUEST_BYTES} fit: say it in"
            " fewer words, or cancel the task and submit one whose request says it all"
        )
