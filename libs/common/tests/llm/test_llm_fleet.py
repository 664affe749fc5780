"""Twenty builders at one provider, in time that passes only while all of them wait: the short form of
`benchmarks/models/fleet.py`, with the same outcome each time.

Journals, budgets and governors are real and on a real bus, one of each for each builder; so is the strict server.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus
from worksite.common.llm import (
    Completion,
    Conversation,
    ModelRequest,
    Prices,
    Reply,
    Script,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    user,
)
from worksite.common.llm.anthropic_model import AnthropicModel
from worksite.common.llm.budgets import BudgetLimits, Budgets
from worksite.common.llm.calls import ModelCalls, StepCalls, Terms
from worksite.common.llm.costs import Costs
from worksite.common.llm.errors import BudgetExceeded
from worksite.common.llm.governor import Governor
from worksite.common.llm.journal import Place
from worksite.common.llm.pacing import PaceLimits
from worksite.common.llm.pricing import micro_usd
from worksite.common.testing.messages_api import Limits, MessagesApi, serving
from worksite.common.testing.messages_api.answers import Answer
from worksite.common.testing.messages_api.api import TEST_KEY

MODEL, TENANT, NOON = "claude-haiku-5-5", "acme", 1_795_348_800.0
BUILDERS, AMPLE = 20, 10**9
LIMITS = Limits(requests=40, input_tokens=60_000, output_tokens=14_000)
PRICES = Prices.shipped(date(2026, 11, 23))
LOOK = Tool(name="look", description="", input_schema={"type": "object"})


@dataclass
class Clock:
    """Wakes one sleeper at a time, the earliest, when nobody is awake."""

    awake: int
    now: float = NOON
    _sleepers: list[tuple[float, int, asyncio.Future[None]]] = field(default_factory=list[Any])
    _order: itertools.count[int] = field(default_factory=itertools.count)

    async def sleep(self, seconds: float) -> None:
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), woken))
        self.leave()
        await woken

    def leave(self) -> None:
        """To sleep, or for good."""
        self.awake -= 1
        if not self.awake and self._sleepers:
            at, _, woken = heapq.heappop(self._sleepers)
            self.now, self.awake = max(self.now, at), 1
            woken.set_result(None)


class TimedApi(MessagesApi):
    """Knows when it gave which answer."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(script(), limits=LIMITS, clock=lambda: clock.now)
        self.clock, self.answers = clock, list[tuple[float, int]]()

    def answer(self, *given: Any) -> Answer:
        answer = super().answer(*given)
        if given[1] == "/v1/messages":
            self.answers.append((self.clock.now, answer.status))
        return answer


def script() -> Script:
    sizes = (400, 2000, 1200, 600, 1600)
    uses = [Reply(content=(ToolUse(id=f"t{n}", name="look", input={"a": "x" * size}),)) for n, size in enumerate(sizes)]
    return Script(conversations=(Conversation(opening="work", replies=(*uses, Reply.saying("done"))),))


class Slow(AnthropicModel):
    """Its replies take as long as their tokens."""

    clock: Clock

    async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
        reply = await super().reply(request, heard)
        await self.clock.sleep(1 + reply.usage.output_tokens / 80)
        return reply


@dataclass
class Fleet:
    """What came of it."""

    api: TimedApi
    spent: int
    reserved: int
    too_dear: int

    @property
    def billed(self) -> int:
        return sum(micro_usd(PRICES.cost(line.model, line.usage)) for line in self.api.ledger)

    def used(self, since: float, until: float) -> float:
        """Of what the scarcest limit lets through in that time."""
        answered = [at for at, status in self.api.answers if status == 200]
        lines = [line for at, line in zip(answered, self.api.ledger, strict=True) if since <= at < until]
        output = sum(line.usage.output_tokens for line in lines) / LIMITS.output_tokens
        return max(len(lines) / LIMITS.requests, output) * 60 / (until - since)


async def fleet(bus: Bus, seconds: float, tenant_micro_usd: int) -> Fleet:
    clock = Clock(awake=BUILDERS)
    api, limits = TimedApi(clock), BudgetLimits(tenant_micro_usd, AMPLE, AMPLE)
    async with serving(api) as url:
        model = Slow(SecretStr(TEST_KEY), url)
        model.clock = clock
        work = (builder(bus, model, limits, number, NOON + seconds) for number in range(BUILDERS))
        too_dear = sum(await asyncio.gather(*work))
        await model.close()
    account = (await Budgets(bus, limits, TENANT, "x", "x").standing(datetime.fromtimestamp(NOON, UTC)))["tenant"]
    return Fleet(api, account.spent, sum(account.reserved.values()), too_dear)


async def builder(bus: Bus, model: Slow, limits: BudgetLimits, number: int, until: float) -> bool:
    """Step after step until its time is over, or the budget; was it that?"""
    clock, pace = model.clock, PaceLimits(LIMITS.requests, LIMITS.input_tokens, LIMITS.output_tokens)
    governor = Governor(bus, {MODEL: pace}, clock=lambda: clock.now, sleep=clock.sleep)
    chance = random.Random(number)
    terms = Terms(
        model,
        PRICES,
        governor,
        now=lambda: datetime.fromtimestamp(clock.now, UTC),
        sleep=clock.sleep,
        chance=chance,
    )
    models, tasks = ModelCalls(bus, "builder", terms, limits), itertools.count()
    await clock.sleep(number / 100)
    try:
        while clock.now < until:
            place = Place(TENANT, f"{number:016x}{next(tasks):016x}", "builder", "2-build")
            await step(await models.at(place, Artifacts(bus), Costs(), "holder", holds), clock, until)
    except BudgetExceeded:
        return True
    finally:
        clock.leave()
    return False


async def step(calls: StepCalls, clock: Clock, until: float) -> None:
    request = ModelRequest(model=MODEL, max_tokens=1000, tools=(LOOK,), turns=(user("work " * 300),))
    while clock.now < until and (reply := await calls.ask(request)).tool_uses:
        results = tuple(ToolResult(tool_use_id=use.id, content="found " * 200) for use in reply.tool_uses)
        request = request.then(reply.turn, Turn(role="user", content=results))


async def holds() -> bool:
    return True


@pytest.mark.asyncio
@pytest.mark.timeout(300)
async def test_a_saturated_fleet_uses_nine_tenths_of_the_limits_and_is_hardly_ever_refused(bus: Bus) -> None:
    came = await fleet(bus, 180, AMPLE)
    assert came.used(NOON + 15, NOON + 180) >= 0.9
    assert sum(status == 429 for _, status in came.api.answers) < 0.01 * len(came.api.answers)
    assert (came.spent, came.reserved, came.too_dear) == (came.billed, 0, 0)


@pytest.mark.asyncio
@pytest.mark.timeout(300)
async def test_a_budget_that_all_builders_share_is_never_exceeded(bus: Bus) -> None:
    limit = 30_000
    came = await fleet(bus, 3600, limit)
    assert came.too_dear == BUILDERS
    assert limit / 2 < came.billed <= limit
    assert (came.spent, came.reserved) == (came.billed, 0)
