"""The routes: which steps a task takes, and which agent does each."""

from __future__ import annotations

from typing import cast

from worksite.common.messages import Agent, NewProject, ProjectSource, Route, StepResult, TaskState
from worksite.common.messages.replies import Action

STEPS: dict[Route, tuple[Action, ...]] = {
    "feature": ("import", "design", "build", "validate"),
    "fix": ("import", "design", "build", "validate"),
    "review": ("import", "design", "validate"),
    "design": ("import", "design"),
    "question": ("answer",),
}
AGENTS: dict[Action, Agent] = {
    "import": "builder",
    "design": "architect",
    "build": "builder",
    "validate": "validator",
    "answer": "architect",
    "deliver": "builder",
    "route": "admin",
}
BUILDS: frozenset[Route] = frozenset(route for route, steps in STEPS.items() if "build" in steps)
"""Routes that make a branch, which may be delivered: after a PASS they go on with that step."""
NEEDS_CONTENT: frozenset[Route] = frozenset({"review", "fix"})
"""Routes that make no sense on an empty project."""


def lacks_repository(route: Route, project: ProjectSource) -> bool:
    """Is it about existing work, of which none was given? The request is then not taken for something else."""
    return isinstance(project, NewProject) and route in NEEDS_CONTENT


def first_step(route: Route) -> Action:
    """Where the route begins."""
    return STEPS[route][0]


def step_after(route: Route, action: Action) -> Action | None:
    """What follows when `action` has succeeded; None at the end of the route."""
    steps = STEPS[route]
    position = steps.index(action) + 1
    return steps[position] if position < len(steps) else None


def action_of(step: str) -> Action:
    """`3-build` is a `build`; the pattern of StepId allows nothing but actions there."""
    return cast(Action, step.split("-", 1)[1])


def agent_of(step: str) -> Agent:
    """Who does the step, and may speak about it."""
    return AGENTS[action_of(step)]


def is_ahead(state: TaskState, result: StepResult) -> bool:
    """True when the step was commanded by a state that this reader has not seen yet (replicas may lag)."""
    return int(result.step.split("-", 1)[0]) > state.steps_commanded
