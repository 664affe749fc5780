"""A builder's step of some model calls as a process of its own: NATS's address, the provider's, the command."""

from __future__ import annotations

import asyncio
import os
import sys
from datetime import date

from pydantic import SecretStr
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, BusSettings
from worksite.common.ledger import Claim, Ledger
from worksite.common.llm import ModelRequest, Prices, Tool, ToolResult, Turn, user
from worksite.common.llm.anthropic_model import AnthropicModel
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.costs import Costs
from worksite.common.llm.governor import Governor
from worksite.common.messages import BuildChange
from worksite.common.testing.messages_api.api import TEST_KEY
from worksite.common.worker import StepContext


async def main(nats_url: str, model_url: str, command_json: str) -> None:
    command = BuildChange.model_validate_json(command_json)
    bus = await Bus.connect(BusSettings(nats_url, "builder"))
    ledger, model = Ledger(bus, "builder"), AnthropicModel(SecretStr(TEST_KEY), model_url)
    claim = await ledger.claim(command.task, command.step, f"process-{os.getpid()}")
    assert isinstance(claim, Claim)

    async def say_nothing(_: str) -> None:
        """Progress is of no interest here."""

    async def holds() -> bool:
        return await ledger.holds(claim)

    context = StepContext(Artifacts(bus), say_nothing, claim.entry.holder, holds, Costs())
    terms = Terms(model, Prices.shipped(date(2026, 11, 23)), Governor(bus, {}))
    calls = await ModelCalls(bus, "builder", terms, BudgetLimits(10**9, 10**9, 10**9)).of(command, context)
    tool = Tool(name="look", description="", input_schema={"type": "object"})
    request = ModelRequest(model="claude-haiku-5-5", max_tokens=400, tools=(tool,), turns=(user("work"),))
    while (reply := await calls.ask(request)).tool_uses:
        results = tuple([ToolResult(tool_use_id=use.id, content="ok") for use in reply.tool_uses])
        request = request.then(reply.turn, Turn(role="user", content=results))
    await model.close()
    await bus.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
