"""The read model's row of a task, made from its state alone: the read model can always be rebuilt."""

from __future__ import annotations

from worksite.common.messages import SubmitTask, TaskEntry, TaskState


def entry_of(state: TaskState, sequence: int) -> TaskEntry:
    """`sequence` is the state event's. The outbox stays out: it is admin's own, and the row must fit a message."""
    return TaskEntry(state=state.model_copy(update={"commands": ()}), submitted=submission_of(state), sequence=sequence)


def submission_of(state: TaskState) -> SubmitTask:
    """What the client submitted. A state keeps all of it."""
    return SubmitTask(
        task=state.task,
        tenant=state.tenant,
        principal=state.principal,
        request=state.request,
        route=state.route.route if state.route.stage == "explicit" else None,
        project=state.project,
        options=state.options,
        submitted_at=state.created_at,
    )
