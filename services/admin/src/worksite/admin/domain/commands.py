"""The next command: built from what the task has produced so far."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from worksite.admin.domain.escalation import tier_for
from worksite.common.messages import (
    AnswerQuestion,
    BuildChange,
    Command,
    DeliverBranch,
    Delivery,
    DesignSpec,
    ImportProject,
    NewProject,
    ProjectSource,
    TaskState,
    Tier,
    ValidateChange,
)
from worksite.common.messages.replies import Action


def command(state: TaskState, action: Action) -> TaskState:
    """The state with one more step in flight. A step id is never used twice: its number only grows."""
    number = state.steps_commanded + 1
    moved = {"status": "running", "steps_commanded": number, "round": _round(state, action)}
    counted = state.model_copy(update=moved)
    step = f"{number}-{action}"
    return counted.model_copy(update={"step": step, "commands": (_message(counted, action, step),)})


def _round(state: TaskState, action: Action) -> int:
    """Each build opens a round; a review judges in its first and only one. Other steps come before any round."""
    if action == "build":
        return state.round + 1
    return max(state.round, 1) if action == "validate" else state.round


class _Common(TypedDict):
    """The fields of every command."""

    task: str
    tenant: str
    step: str
    round: int
    deadline: datetime
    tier: Tier | None


def _message(state: TaskState, action: Action, step: str) -> Command:
    common: _Common = {
        "task": state.task,
        "tenant": state.tenant,
        "step": step,
        "round": state.round,
        "deadline": state.deadline,
        "tier": tier_for(state, action),
    }
    match action:
        case "import":
            return _import(state, common)
        case "design":
            return _design(state, common)
        case "build":
            return _build(state, common)
        case "validate":
            return _validate(state, common)
        case "answer":
            return AnswerQuestion(**common, request=state.request, inputs=state.inputs)
        case "deliver":
            return _deliver(state, common)
        case _:
            raise ValueError(f"no route has the step {action}")


def _import(state: TaskState, common: _Common) -> ImportProject:
    review = state.route.route == "review"
    return ImportProject(**common, source=state.project, review=review, review_base=state.options.base)


def _design(state: TaskState, common: _Common) -> DesignSpec:
    assert state.imported
    return DesignSpec(
        **common,
        request=state.request,
        route=state.route.route,
        project=state.imported,
        criteria=state.options.criteria,
        inputs=state.inputs,
        project_name=_name(state.project),
    )


def _name(project: ProjectSource) -> str | None:
    """The name that the client chose for a new project; the default was not chosen."""
    return project.name if isinstance(project, NewProject) and project != NewProject() else None


def _build(state: TaskState, common: _Common) -> BuildChange:
    assert state.imported
    assert state.spec
    report = state.judgement.report if state.judgement else None
    spec = state.spec.spec
    return BuildChange(**common, spec=spec, project=state.imported, report=report, previous=state.changeset)


def _validate(state: TaskState, common: _Common) -> ValidateChange:
    assert state.imported
    assert state.spec
    assert state.changeset
    return ValidateChange(**common, spec=state.spec.spec, project=state.imported, changeset=state.changeset)


def _deliver(state: TaskState, common: _Common) -> DeliverBranch:
    assert state.spec
    assert state.changeset
    return DeliverBranch(
        **common,
        source=state.project,
        changeset=state.changeset,
        delivery=state.options.deliver or Delivery(),
        title=state.spec.title,
    )
