"""What a client asks about the way a request would take, and what a task shows of the way it took."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from worksite.common.messages import (
    Difficulty,
    ExplainRoute,
    Model,
    ModelCallSize,
    Route,
    RouteDecision,
    RouteExplained,
    RouteStage,
    StageReport,
)
from worksite.common.messages.tasks import RequestText


class RouteQuery(Model):
    """The body of `POST /v1/route/explain`."""

    request: RequestText
    route: Route | None = None
    project: Literal["existing", "new"] = Field(default="existing", description="new: nothing to review or to fix yet")
    assume_model: bool = Field(default=False, description="as it would be if a language model could be asked")

    def question(self, tenant: str) -> ExplainRoute:
        """The message to admin, bound to the tenant of the token."""
        return ExplainRoute(
            tenant=tenant,
            request=self.request,
            route=self.route,
            new_project=self.project == "new",
            assume_model=self.assume_model,
        )


class RoutingView(Model):
    """How a route was chosen."""

    stage: RouteStage = Field(description="of the cascade; explanations: `model` means that one would be asked")
    reason: str
    confidence: float = Field(description="from 0 to 1; of the classifier a calibrated probability")
    difficulty: Difficulty | None = Field(description="null: nobody needed to know")
    latency_ms: float
    cost_usd: float


class RouteExplanation(Model):
    """The route that the request would take now. No task was made, and no language model was asked."""

    route: Route
    routing: RoutingView
    stages: tuple[StageReport, ...] = Field(description="those that were asked, in order")
    asking: ModelCallSize


def routing_view(decision: RouteDecision) -> RoutingView:
    """Without the tokens, which are in the task's `cost.json`."""
    return RoutingView(
        stage=decision.stage,
        reason=decision.reason,
        confidence=decision.confidence,
        difficulty=decision.difficulty,
        latency_ms=decision.latency_ms,
        cost_usd=decision.cost_usd,
    )


def explanation(explained: RouteExplained) -> RouteExplanation:
    """What the HTTP interface promises of admin's answer."""
    decision = explained.decision
    return RouteExplanation(
        route=decision.route, routing=routing_view(decision), stages=explained.stages, asking=explained.asking
    )
