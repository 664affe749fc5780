"""The routing cascade: stages from cheap to dear; the first that is sure decides, else the task is a `feature`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from worksite.admin.domain.rules import by_rules
from worksite.common.messages import RouteDecision, SubmitTask

Stage = Callable[[SubmitTask], RouteDecision | None]
"""None: this stage cannot tell. A stage leaves `latency_ms` at 0; the cascade measures itself as a whole."""


def explicit(task: SubmitTask) -> RouteDecision | None:
    """The client said so."""
    if task.route is None:
        return None
    return RouteDecision(
        route=task.route, stage="explicit", reason="the request names its route", confidence=1.0, latency_ms=0.0
    )


STAGES: tuple[Stage, ...] = (explicit, by_rules)


def choose_route(task: SubmitTask, stages: Sequence[Stage], clock: Callable[[], float]) -> RouteDecision:
    """Ask the stages in order. `clock` returns seconds; it only serves to record what the decision took."""
    started = clock()
    decision = next((found for stage in stages if (found := stage(task))), _default())
    return decision.model_copy(update={"latency_ms": round((clock() - started) * 1000, 3)})


def _default() -> RouteDecision:
    return RouteDecision(
        route="feature",
        stage="default",
        reason="no stage recognised another kind of request",
        confidence=0.0,
        latency_ms=0.0,
    )
