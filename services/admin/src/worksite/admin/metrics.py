"""Metrics of tasks and routing; those of the bus are common to all services."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import Counter, Histogram
from worksite.admin.domain.events import Transition
from worksite.common.artifacts import Removed
from worksite.common.messages import RouteDecision, StageReport, TaskState

_TASKS = Counter("worksite_tasks_total", "Tasks that ended or wait for a person", ["route", "outcome"])
_ROUTES = Counter("worksite_route_decisions_total", "Routes chosen, by stage of the cascade", ["stage", "route"])
_PASSED = Counter(
    "worksite_route_stages_passed_total", "Stages of the cascade that did not decide, and how", ["stage", "outcome"]
)
_ROUTE_SECONDS = Histogram(
    "worksite_route_seconds",
    "Time that choosing a route took, by the stage that decided",
    ["stage"],
    buckets=(0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2, 10, 30),
)
_ROUTE_COST = Counter("worksite_route_cost_usd_total", "Dollars that choosing routes cost")
_SECONDS = Histogram(
    "worksite_task_seconds",
    "From acceptance until the task ended or waits for a person",
    buckets=(1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200),
)
_COLLECTED = Counter("worksite_artifacts_collected_total", "Artifacts removed because no task names them any more")
_COLLECTED_BYTES = Counter("worksite_artifact_bytes_collected_total", "Bytes of the artifacts that were removed")


def routed(decision: RouteDecision, reports: Sequence[StageReport]) -> None:
    """Count a choice of a route; a submission that comes again is chosen for again."""
    for report in reports:
        if report.outcome != "decided":
            _PASSED.labels(report.stage, report.outcome).inc()
    _ROUTE_SECONDS.labels(decision.stage).observe(decision.latency_ms / 1000)
    _ROUTE_COST.inc(decision.cost_usd)


def recorded(transition: Transition) -> None:
    """Count a transition; called once, where its state was recorded first."""
    state = transition.after
    if transition.before is None:
        _ROUTES.labels(state.route.stage, state.route.route).inc()
    if transition.stops:
        _TASKS.labels(state.route.route, _outcome(state)).inc()
        _SECONDS.observe(max(0.0, (state.updated_at - state.created_at).total_seconds()))


def collected(removed: Removed) -> None:
    """Count what one turn of the collector removed."""
    _COLLECTED.inc(removed.blobs)
    _COLLECTED_BYTES.inc(removed.bytes)


def _outcome(state: TaskState) -> str:
    """The verdict where the task was judged to its end, else the status."""
    judged = state.status == "completed" and state.judgement
    return judged.verdict.lower() if judged else state.status
