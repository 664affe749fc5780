"""/v1/route/explain, with somebody who plays admin; and what tasks show of how their routes were chosen."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from worksite.common.bus import Bus, announce, answer
from worksite.common.messages import ExplainRoute, ModelCallSize, RouteDecision, RouteExplained, StageReport

EXPLAINED = RouteExplained(
    decision=RouteDecision(
        route="review",
        stage="classifier",
        reason="it reads like one",
        confidence=0.97,
        latency_ms=3.5,
        difficulty="easy",
    ),
    stages=(StageReport(stage="rules", outcome="passed", reason="no rule fits", latency_ms=0.1),),
    asking=ModelCallSize(prompt_tokens=500, answer_tokens=60),
)


class Admin:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[ExplainRoute] = []

    async def explain(self, asked: ExplainRoute) -> RouteExplained:
        self.asked.append(asked)
        return EXPLAINED


@pytest_asyncio.fixture
async def admin(bus: Bus) -> AsyncIterator[Admin]:
    fake = Admin()
    service = await announce(bus, "admin", "0.0.1")
    await answer(service, "explain", ExplainRoute, fake.explain)
    yield fake
    await service.stop()


@pytest.mark.asyncio
async def test_an_explanation_tells_the_route_and_what_each_stage_made_of_the_request(
    client: httpx.AsyncClient, admin: Admin
) -> None:
    given = {"request": " Look at my branch ", "project": "new", "assume_model": True}
    answered = await client.post("/v1/route/explain", json=given)

    assert answered.status_code == 200
    assert answered.json() == {
        "route": "review",
        "routing": {
            "stage": "classifier",
            "reason": "it reads like one",
            "confidence": 0.97,
            "difficulty": "easy",
            "latency_ms": 3.5,
            "cost_usd": 0.0,
        },
        "stages": [
            {"stage": "rules", "outcome": "passed", "reason": "no rule fits", "latency_ms": 0.1, "probabilities": {}}
        ],
        "asking": {"prompt_tokens": 500, "answer_tokens": 60},
    }
    [asked] = admin.asked
    assert (asked.tenant, asked.request, asked.new_project) == ("acme", "Look at my branch", True)
    assert asked.assume_model


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "body",
    [{}, {"request": " "}, {"request": "x", "route": "deploy"}, {"request": "x", "project": "some"}, {"text": "x"}],
)
async def test_what_is_no_question_about_a_route_is_refused(
    client: httpx.AsyncClient, admin: Admin, body: object
) -> None:
    answered = await client.post("/v1/route/explain", json=body)

    assert answered.status_code == 422
    assert admin.asked == []


@pytest.mark.asyncio
async def test_without_admin_it_is_unavailable_for_now(client: httpx.AsyncClient) -> None:
    answered = await client.post("/v1/route/explain", json={"request": "x"})

    assert answered.status_code == 503
    assert "Retry-After" in answered.headers
