"""A worker whose handler calls a model: its result says what that cost, however the step ends; kill -9 included."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope
from worksite.common.errors import StepRefused
from worksite.common.llm import Conversation, ModelRequest, Prices, Reply, Script, ScriptedModel, ToolUse, user
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.governor import Governor
from worksite.common.messages import BuildChange, StepResult
from worksite.common.testing import examples
from worksite.common.testing.examples import TENANT
from worksite.common.testing.messages_api import MessagesApi, serving
from worksite.common.testing.nats import NatsServer
from worksite.common.worker import Reply as Answered
from worksite.common.worker import StepContext, Worker

MODEL = "claude-haiku-5-5"
COMMAND = next(command for command in examples.commands() if isinstance(command, BuildChange)).model_copy(
    update={"deadline": datetime.now(UTC) + timedelta(hours=1)}
)
AGENT = Path(__file__).with_name("killable_agent.py")
CALLS = 3
"""A process takes a second to start."""


async def commanded(bus: Bus) -> None:
    envelope = Envelope(COMMAND.ce_type(), "admin", TENANT, COMMAND.task)
    await bus.publish(subjects.work_subject("builder", TENANT), COMMAND, envelope)


async def result_of(bus: Bus, patience_seconds: float) -> StepResult | None:
    subject = subjects.event_subject(TENANT, COMMAND.task, "builder", COMMAND.step, "result")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_seconds):
            while True:
                if found := await bus.last("EVENTS", subject):
                    return StepResult.consume(found.data)
                await asyncio.sleep(0.02)
    return None


@pytest.mark.asyncio
@pytest.mark.parametrize("refused", [False, True])
async def test_a_steps_result_tells_what_its_model_calls_cost(bus: Bus, refused: bool) -> None:
    script = Script(conversations=(Conversation(opening="work", replies=(Reply.saying("done"),)),))
    terms = Terms(ScriptedModel(script), Prices.shipped(date(2026, 11, 23)), Governor(bus, {}))
    calls = ModelCalls(bus, "builder", terms, BudgetLimits(10**9, 10**9, 10**9))

    async def build(command: BuildChange, context: StepContext) -> Answered:
        step = await calls.of(command, context)
        await step.ask(ModelRequest(model=MODEL, max_tokens=10, turns=(user("work"),)))
        if refused:
            raise StepRefused("no_engine", "not this one")
        return Answered(examples.changeset())

    stop = asyncio.Event()
    running = asyncio.create_task(Worker(bus, "builder", {BuildChange: build}).run(stop, grace_seconds=1))
    await commanded(bus)
    result = await result_of(bus, 30)
    stop.set()
    await running

    assert result
    assert result.reply.status == ("refused" if refused else "ok")
    (use,) = result.model_use
    assert (use.model, use.calls) == (MODEL, 1)
    assert use.cost_micro_usd > 0


def script() -> Script:
    uses = [ToolUse(id=f"t{n}", name="look", input={"n": n}) for n in range(CALLS - 1)]
    replies = (*(Reply(content=(use,)) for use in uses), Reply.saying("done"))
    return Script(conversations=(Conversation(opening="work", replies=replies),))


class Killing(MessagesApi):
    """Kills the agent's process the first time that it asks for each reply: as the request comes, or when the reply has
    been sent in part or as a whole. Which of these it is depends on which process is faster, as it does in life."""

    process: asyncio.subprocess.Process | None = None

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self._met = set[int]()

    def answer(self, *given: Any) -> Any:
        body = json.loads(given[3])
        answer, turns = super().answer(*given), len(body["messages"])
        if turns not in self._met:
            self._met.add(turns)
            assert self.process
            self.process.send_signal(signal.SIGKILL)
        return answer


@pytest.mark.proof
@pytest.mark.asyncio
async def test_an_agent_killed_at_every_call_pays_no_completed_call_twice(bus: Bus, nats_server: NatsServer) -> None:
    """kill -9 of a real process; the delivery is handed to the next one at once, as a redelivery would be later."""
    api = Killing(script())
    await commanded(bus)
    async with serving(api) as url:
        for _ in range(CALLS + 1):
            api.process = await asyncio.create_subprocess_exec(
                sys.executable, str(AGENT), nats_server.url, url, COMMAND.model_dump_json()
            )
            await api.process.wait()
            if api.process.returncode == 0:
                break
    assert api.process.returncode == 0

    asked = Counter(len(json.loads(seen.body)["messages"]) for seen in api.seen if seen.path == "/v1/messages")
    found = await bus.read("JOURNAL", f"{subjects.ROOT}.journal.>", 0)
    complete = [record for record in found if json.loads(record.data)["kind"] == "call"]
    assert len(complete) == CALLS
    assert set(asked.values()) == {2}, "a call in doubt is made again once, and no other is"
    assert len(api.ledger) == 2 * CALLS
