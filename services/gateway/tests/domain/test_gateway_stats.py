"""What tasks came to, as figures."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from worksite.common.messages import (
    Approval,
    Judgement,
    ModelUse,
    Problem,
    RouteDecision,
    StepRecord,
    TaskState,
    Verdict,
)
from worksite.common.testing import examples
from worksite.gateway.domain.stats import Group, Spent, Tokens, stats, why_stopped

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ROUTE = RouteDecision(route="feature", stage="rules", reason="", confidence=1, latency_ms=0.1)
SMALL = ModelUse(model="small", calls=2, input_tokens=100, cache_read_tokens=10, output_tokens=5, cost_micro_usd=1_000)
LARGE = ModelUse(model="large", calls=1, cache_write_5m_tokens=7, cache_write_1h_tokens=3, cost_micro_usd=50_000)


def step(name: str, round_: int, *uses: ModelUse, tier: Any = None) -> StepRecord:
    engine = {"build": "model:x", "validate": "validator"}.get(name.split("-")[1])
    usd = sum(use.cost_micro_usd for use in uses) / 1e6
    return StepRecord(
        step=name, agent="builder", round=round_, status="ok", summary="", engine=engine, started_at=NOW,
        finished_at=NOW, cost_usd=usd, model_use=uses, tier=tier,
    )  # fmt: skip


def judged(verdict: Verdict) -> Judgement:
    return examples.judgement(verdict)


def task(number: int, **changes: Any) -> TaskState:
    given = {
        "task": f"{number:032x}", "status": "completed", "route": ROUTE, "round": 0, "history": (), "judgement": None,
        "problem": None, "question": None, "approval": None, "reason": "The design is written.", "signatures": (),
    }  # fmt: skip
    return examples.task_state().model_copy(update=given | changes)


REPAIRED = task(
    1,
    round=2,
    judgement=judged("PASS"),
    history=(
        step("3-build", 1, SMALL, tier="medium"),
        step("4-validate", 1),
        step("5-build", 2, LARGE, SMALL, tier="large"),
        step("6-validate", 2),
    ),
)
BUILDING = task(
    2, status="running", round=2, judgement=judged("FAIL"),
    history=(step("3-build", 1, SMALL, tier="medium"), step("4-validate", 1)),
)  # fmt: skip
ROUTED = task(3, route=ROUTE.model_copy(update={"route": "design", "cost_usd": 0.001, "model_use": (SMALL,)}))


def test_of_each_round_it_is_told_who_entered_and_passed_and_what_it_cost() -> None:
    found = stats([REPAIRED, BUILDING, ROUTED], None, complete=True)

    rounds = [(r.round, r.entered, r.passed, r.failed, r.undecided, r.spent.usd, r.usd_per_pass) for r in found.rounds]
    assert rounds == [
        (0, 3, 0, 0, 0, 0.001, None),
        (1, 2, 0, 2, 0, 0.002, None),
        (2, 2, 1, 0, 1, 0.051, 0.051),
    ]
    assert (found.tasks, found.passed, found.spent.usd, found.usd_per_pass) == (3, 1, 0.054, 0.054)


def test_a_verdict_of_the_round_before_does_not_count_for_the_round_under_way() -> None:
    passed_before = BUILDING.model_copy(update={"judgement": judged("PASS")})

    assert stats([passed_before], None, complete=True).passed == 0


def test_money_and_tokens_are_told_by_route_engine_tier_and_model_the_dearest_first() -> None:
    found = stats([REPAIRED, BUILDING, ROUTED], None, complete=True)

    assert [(g.name, g.tasks, g.passed, g.spent.usd) for g in found.routes] == [
        ("feature", 2, 1, 0.053),
        ("design", 1, 0, 0.001),
    ]
    assert [(g.name, g.tasks, g.spent.usd) for g in found.engines] == [("model:x", 2, 0.053), ("validator", 2, 0)]
    assert [(g.name, g.tasks, g.spent.usd) for g in found.tiers] == [("large", 1, 0.051), ("medium", 2, 0.002)]
    assert found.models == (
        Group(name="large", tasks=1, passed=1, spent=Spent(usd=0.05, calls=1, tokens=Tokens(written=10))),
        Group(
            name="small",
            tasks=3,
            passed=1,
            spent=Spent(usd=0.004, calls=8, tokens=Tokens(uncached=400, cached=40, output=20)),
        ),
    )


def test_without_tasks_there_is_nothing_to_tell() -> None:
    found = stats([], NOW, complete=True)

    assert (found.since, found.tasks, found.rounds, found.stops, found.usd_per_pass) == (NOW, 0, (), (), None)


JUDGED = (step("4-validate", 2),)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"status": "running"}, "still running"),
        ({"status": "failed", "problem": Problem(code="deadline", detail="x")}, "failed: deadline"),
        ({"status": "needs_input"}, "needs input"),
        (
            {"status": "needs_input", "approval": Approval(gate="design", digest="0" * 64, expires_at=NOW)},
            "waits for approval of the design",
        ),
        ({"status": "cancelled", "reason": "Cancelled by ada: enough"}, "cancelled"),
        ({"round": 2, "history": JUDGED, "judgement": judged("PASS")}, "passed"),
        ({"round": 2, "history": JUDGED, "judgement": judged("ENVIRONMENT")}, "could not be judged"),
        (
            {
                "round": 2,
                "history": JUDGED,
                "judgement": judged("FAIL"),
                "reason": "Stopped after round 2: the same failure twice.",
            },
            "Stopped: the same failure twice",
        ),
        ({"reason": "The question is answered."}, "done without a verdict"),
    ],
)
def test_why_tasks_stopped_is_said_in_words_that_they_share(changes: dict[str, Any], why: str) -> None:
    assert why_stopped(task(1, **changes)) == why
