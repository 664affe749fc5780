"""The pure half of the routing cascade, cheapest stage first: explicit, rules, classifier, model, default.

Each stage decides or passes; the rules have a file of their own. Who is asked when, and what is done where somebody
cannot be asked, is `cascade.py`'s business.
"""

from __future__ import annotations

from worksite.admin.domain.classifier import Reading
from worksite.admin.domain.expected_cost import Choice, choice
from worksite.common.messages import RouteDecision, SubmitTask


def explicit(task: SubmitTask) -> RouteDecision | None:
    """The client said so."""
    if task.route is None:
        return None
    return RouteDecision(
        route=task.route, stage="explicit", reason="the request names its route", confidence=1.0, latency_ms=0.0
    )


def by_classifier(reading: Reading, asking_usd: float | None) -> RouteDecision | None:
    """The classifier's guess, unless asking on is cheaper than its being wrong.

    `asking_usd`: of a model call; None where nobody could be asked.
    """
    if asking_usd is not None and choice(reading.routes).is_worth_asking(asking_usd):
        return None
    return guess(reading)


def guess(reading: Reading) -> RouteDecision:
    """The route of the least expected loss."""
    best = choice(reading.routes)
    return RouteDecision(
        route=best.route,
        stage="classifier",
        reason=_told(best),
        confidence=best.confidence,
        latency_ms=0.0,
        difficulty=reading.difficulty,
    )


def default() -> RouteDecision:
    """What becomes of a request that nobody could tell."""
    return RouteDecision(
        route="feature",
        stage="default",
        reason="no stage recognised another kind of request",
        confidence=0.0,
        latency_ms=0.0,
    )


def _told(best: Choice) -> str:
    return f"it reads like one; being wrong is expected to cost ${best.expected_loss:.3f}"
