"""The cascade: the first stage that is sure decides."""

from __future__ import annotations

from typing import Any

import pytest
from worksite.admin.domain.routing import STAGES, choose_route
from worksite.common.messages import NewProject, RouteDecision, SubmitTask


class Clock:
    """Advances by 2 ms with every look."""

    def __init__(self) -> None:
        self._seconds = 100.0

    def __call__(self) -> float:
        self._seconds += 0.002
        return self._seconds


@pytest.mark.parametrize(
    ("submission", "route", "stage"),
    [
        ({"route": "review", "request": "Create auth system"}, "review", "explicit"),
        ({"request": "How does the lockout work?"}, "question", "rules"),
        ({"request": "Fix the login bug"}, "fix", "rules"),
        ({"request": "Fix the login bug", "project": NewProject()}, "feature", "default"),
        ({"request": "Auth system"}, "feature", "default"),
    ],
)
def test_the_cheapest_stage_that_is_sure_decides(samples: Any, submission: Any, route: str, stage: str) -> None:
    decision = choose_route(samples.submission(**submission), STAGES, Clock())

    assert (decision.route, decision.stage) == (route, stage)


def test_the_decision_records_how_long_the_cascade_took(samples: Any) -> None:
    assert choose_route(samples.submission(), STAGES, Clock()).latency_ms == pytest.approx(2.0)


def test_a_later_stage_is_asked_only_when_the_earlier_ones_pass(samples: Any) -> None:
    asked: list[str] = []
    sure = RouteDecision(route="design", stage="classifier", reason="near", confidence=0.8, latency_ms=0)

    def unsure(_: SubmitTask) -> None:
        asked.append("unsure")

    def classifier(_: SubmitTask) -> RouteDecision:
        asked.append("classifier")
        return sure

    def never(_: SubmitTask) -> RouteDecision:
        raise AssertionError("asked although a stage was sure")

    decision = choose_route(samples.submission(), (unsure, classifier, never), Clock())

    assert asked == ["unsure", "classifier"]
    assert decision.stage == "classifier"


def test_the_rules_take_far_less_than_five_milliseconds_even_for_the_longest_request(samples: Any) -> None:
    import time

    task = samples.submission(request="the list that returns is broken into and design " * 240)

    fastest = min(choose_route(task, STAGES, time.perf_counter).latency_ms for _ in range(5))

    assert fastest < 5
