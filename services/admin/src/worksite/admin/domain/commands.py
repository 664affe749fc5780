"""The next command: built from what the task has produced so far."""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from worksite.admin.domain import packages
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
    PackageWork,
    ProjectSource,
    TaskState,
    Tier,
    ValidateChange,
)
from worksite.common.messages.replies import Action

_FIRST_ROUND = 1
"""Packages are parts of its work."""


def command(state: TaskState, action: Action) -> TaskState:
    """The state with one more step in flight. A step id is never used twice: its number only grows."""
    number = state.steps_commanded + 1
    moved = {"status": "running", "steps_commanded": number, "round": _round(state, action)}
    counted = state.model_copy(update=moved)
    step = f"{number}-{action}"
    return counted.model_copy(update={"step": step, "commands": (_message(counted, action, step),)})


def build_packages(state: TaskState, chosen: packages.Packages) -> TaskState:
    """The state with a build in flight for each of these packages, side by side on what is merged so far."""
    steps = {package.id: f"{state.steps_commanded + i}-build" for i, package in enumerate(chosen, 1)}
    moved = {"status": "running", "steps_commanded": state.steps_commanded + len(chosen), "round": _FIRST_ROUND}
    counted = state.model_copy(update=moved)
    commands = tuple(
        _build(counted, steps[package.id]).model_copy(update={"package": package.id, "conflicts": package.conflicts})
        for package in chosen
    )
    in_flight = {"step": None, "packages": packages.commanded(state.packages, steps)}
    return counted.model_copy(update={**in_flight, "commands": commands})


def merge_packages(state: TaskState) -> TaskState:
    """The state with one step in flight that merges what was built, in the order of the plan."""
    parts = tuple(PackageWork(package=p.id, changeset=p.changeset) for p in packages.built(state) if p.changeset)
    number = state.steps_commanded + 1
    counted = state.model_copy(update={"status": "running", "steps_commanded": number, "round": _FIRST_ROUND})
    merge = _build(counted, f"{number}-build").model_copy(update={"parts": parts})
    return counted.model_copy(update={"step": merge.step, "commands": (merge,)})


def _round(state: TaskState, action: Action) -> int:
    """Each build opens a round; a review judges in its first and only one. Other steps come before any round."""
    if action == "build":
        return state.round + 1
    return max(state.round, _FIRST_ROUND) if action == "validate" else state.round


class _Common(TypedDict):
    """The fields of every command."""

    task: str
    tenant: str
    step: str
    round: int
    deadline: datetime
    tier: Tier | None


def _common(state: TaskState, action: Action, step: str) -> _Common:
    return {
        "task": state.task,
        "tenant": state.tenant,
        "step": step,
        "round": state.round,
        "deadline": state.deadline,
        "tier": tier_for(state, action),
    }


def _message(state: TaskState, action: Action, step: str) -> Command:
    common = _common(state, action, step)
    match action:
        case "import":
            return _import(state, common)
        case "design":
            return _design(state, common)
        case "build":
            return _build(state, step)
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
    return ImportProject(
        **common, source=state.project, review=review, review_base=state.options.base, delivery=state.options.deliver
    )


def _design(state: TaskState, common: _Common) -> DesignSpec:
    assert state.imported
    return DesignSpec(
        **common,
        request=state.request,
        route=state.route.route,
        project=state.imported,
        criteria=state.options.criteria,
        may_split=packages.are_worthwhile(state.route),
        inputs=state.inputs,
        project_name=_name(state.project),
    )


def _name(project: ProjectSource) -> str | None:
    """The name that the client chose for a new project; the default was not chosen."""
    return project.name if isinstance(project, NewProject) and project != NewProject() else None


def _build(state: TaskState, step: str) -> BuildChange:
    assert state.imported
    assert state.spec
    return BuildChange(
        **_common(state, "build", step),
        spec=state.spec.spec,
        project=state.imported,
        report=state.judgement.report if state.judgement else None,
        previous=state.changeset,
    )


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
