"""Builders of one process: each does steps of many model calls, one after the other, as fast as it is let.

Each has a connection, a governor, journals and budgets of its own, as a replica has. Says that it is ready, takes an
`Order` from its standard input, and prints an `Outcome` for each: started by `fleet.py`.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, BusSettings
from worksite.common.errors import Retryable
from worksite.common.ids import new_id
from worksite.common.llm import LanguageModel, ModelRequest, Prices, Tool, ToolResult, Turn, user
from worksite.common.llm.anthropic_model import AnthropicModel
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.costs import Costs
from worksite.common.llm.errors import BudgetExceeded
from worksite.common.llm.governor import Governor
from worksite.common.llm.journal import Place
from worksite.common.llm.pacing import PaceLimits
from worksite.common.messages import Model
from worksite.common.testing.messages_api.api import TEST_KEY

MODEL, TENANT, OPENING = "claude-haiku-5-5", "bench", "work on"
MAX_TOKENS = 4000
AMPLE_MICRO_USD = 10**12
_SYSTEM = "You are one of many builders. " * 800
_WORDS = "what a tool found, line after line; " * 60
_PAUSE_SECONDS = 2.0
_LOOK = Tool(name="look", description="", input_schema={"type": "object"})


class Order(Model):
    """What one process is to do. `tenant_micro_usd`: the budget that all builders share."""

    nats_url: str
    model_url: str
    builders: int
    until: float
    requests: float
    input_tokens: float
    output_tokens: float
    tenant_micro_usd: int


class Outcome(Model):
    """Of one builder. `handed_back`: steps given up for now, as the provider was not to be had. `too_dear`: calls that
    the budget had no room for."""

    calls: int
    handed_back: int
    too_dear: int


@dataclass
class Builder:
    """One replica."""

    order: Order
    models: ModelCalls
    calls: int = 0
    handed_back: int = 0
    too_dear: int = 0

    async def work(self) -> Outcome:
        """Step after step, until its time has run out; others' reservations may yet leave room in a budget."""
        while time.time() < self.order.until:
            try:
                await self._step(new_id())
            except Retryable:
                self.handed_back += 1
            except BudgetExceeded:
                self.too_dear += 1
                await asyncio.sleep(_PAUSE_SECONDS)
        return Outcome(calls=self.calls, handed_back=self.handed_back, too_dear=self.too_dear)

    async def _step(self, task: str) -> None:
        async def holds() -> bool:
            return True

        place, artifacts = Place(TENANT, task, "builder", "2-build"), Artifacts(self.models.bus)
        calls = await self.models.at(place, artifacts, Costs(), new_id(), holds)
        opening = user(f"{OPENING} {task} {_WORDS}")
        request = ModelRequest(model=MODEL, max_tokens=MAX_TOKENS, system=_SYSTEM, tools=(_LOOK,), turns=(opening,))
        while time.time() < self.order.until:
            reply = await calls.ask(request)
            self.calls += 1
            if not reply.tool_uses:
                return
            results = tuple(ToolResult(tool_use_id=use.id, content=f"{use.id} {_WORDS}") for use in reply.tool_uses)
            request = request.then(reply.turn, Turn(role="user", content=results))


async def replica(order: Order, model: LanguageModel) -> Outcome:
    """A builder with everything of its own but the pool of connections to the provider."""
    bus = await Bus.connect(BusSettings(order.nats_url, "builder"))
    limits = PaceLimits(order.requests, order.input_tokens, order.output_tokens)
    terms = Terms(model, Prices.shipped(datetime.now(UTC).date()), Governor(bus, {MODEL: limits}))
    budget = BudgetLimits(order.tenant_micro_usd, AMPLE_MICRO_USD, AMPLE_MICRO_USD)
    try:
        return await Builder(order, ModelCalls(bus, "builder", terms, budget)).work()
    finally:
        await bus.close()


async def main(order: Order) -> None:
    """All builders of this process."""
    model = AnthropicModel(SecretStr(TEST_KEY), order.model_url)
    for outcome in await asyncio.gather(*(replica(order, model) for _ in range(order.builders))):
        print(outcome.model_dump_json())
    await model.close()


if __name__ == "__main__":
    print("ready", flush=True)
    asyncio.run(main(Order.model_validate_json(sys.stdin.readline())))
