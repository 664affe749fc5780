"""Calls of a step: journaled, within budget, at the fleet's pace, tried again, counted; whatever is killed when."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus
from worksite.common.errors import BusUnavailable, Fenced, MalformedMessage
from worksite.common.llm import (
    Completion,
    Conversation,
    LanguageModel,
    ModelRequest,
    Prices,
    Reply,
    Script,
    ScriptedModel,
    Text,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
    user,
)
from worksite.common.llm.anthropic_model import AnthropicModel
from worksite.common.llm.budgets import BudgetLimits, Budgets
from worksite.common.llm.calls import StepCalls, Terms
from worksite.common.llm.costs import Costs, JournaledCall
from worksite.common.llm.errors import BudgetExceeded, ModelRequestRefused, ModelUnavailable, UnknownPrice
from worksite.common.llm.governor import Governor, Pass
from worksite.common.llm.journal import Journal, Place
from worksite.common.llm.pacing import PaceLimits
from worksite.common.llm.retrying import Retries
from worksite.common.messages import JournalRecord
from worksite.common.testing.lagging import LaggingBus
from worksite.common.testing.messages_api import Fault, MessagesApi, serving
from worksite.common.testing.messages_api.api import TEST_KEY
from worksite.common.testing.messages_api.billing import total

MODEL = "claude-haiku-5-5"
PRICES = Prices.shipped(date(2026, 11, 23))
NOW = datetime(2026, 11, 23, tzinfo=UTC)
AMPLE = BudgetLimits(10**9, 10**9, 10**9)
TENANT = "acme"
LOOK = Tool(name="look", description="", input_schema={"type": "object"})
TASKS = (f"{number:032x}" for number in itertools.count(1))


def script(calls: int) -> Script:
    """So many calls that each ask for a tool, and one that ends it."""
    uses = [ToolUse(id=f"t{n}", name="look", input={"n": n}) for n in range(calls - 1)]
    replies = (*(Reply(content=(use,)) for use in uses), Reply.saying("done"))
    return Script(conversations=(Conversation(opening="work", replies=replies),))


class Step:
    """One step, and the world it is in; each `run` is a new holder's."""

    def __init__(self, bus: Bus, model: LanguageModel, limits: BudgetLimits = AMPLE, **terms: Any) -> None:
        self.bus, self.model, self.limits, self.task = bus, model, limits, next(TASKS)
        self.terms = terms
        self.slept: list[float] = []
        self.ran: list[str] = []
        self.told: list[str] = []
        self.costs = Costs()
        self.owner = 0

    async def opened(self, bus: Bus | None = None) -> StepCalls:
        """As a worker would that has just taken the step over."""
        on, holder = bus or self.bus, self.owner + 1
        self.owner, self.costs = holder, Costs()

        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)

        async def holds() -> bool:
            return self.owner == holder

        async def tell(line: str) -> None:
            self.told.append(line)

        given: dict[str, Any] = {"governor": Governor(on, {}), "now": lambda: NOW, "sleep": sleep} | self.terms
        place = Place(TENANT, self.task, "builder", "2-build")
        calls = StepCalls(
            Terms(self.model, PRICES, **given),
            Journal(on, Artifacts(on), place, f"w{holder}", holds),
            Budgets(on, self.limits, TENANT, self.task, "2-build"),
            self.costs,
            self.task,
            tell,
        )
        await calls.open()
        return calls

    async def run(self, bus: Bus | None = None, system: str = "") -> str:
        """The loop of an agent, to its end."""
        calls = await self.opened(bus)
        request = ModelRequest(model=MODEL, max_tokens=400, system=system, tools=(LOOK,), turns=(user("work"),))
        while (reply := await calls.ask(request)).tool_uses:
            results = [await calls.use(use, self._tool(use)) for use in reply.tool_uses]
            request = request.then(reply.turn, Turn(role="user", content=tuple(results)))
        return reply.text

    def _tool(self, use: ToolUse) -> Callable[[], Awaitable[ToolResult]]:
        async def run() -> ToolResult:
            self.ran.append(use.id)
            return ToolResult(tool_use_id=use.id, content=f"result of {use.id}")

        return run

    async def spent(self) -> tuple[int, int, int]:
        """Of the step's budget: spent, in doubt, reserved."""
        account = (await Budgets(self.bus, self.limits, TENANT, self.task, "2-build").standing(NOW))["step"]
        return account.spent, account.in_doubt, sum(account.reserved.values())


class Killed(BaseException):
    """SIGKILL, as far as a test can play it: nothing is tidied up."""


class DyingBus(Bus):
    """Its process is killed at one write: before it, or after the server has it and before anybody knows."""

    def __init__(self, bus: Bus, write: int, after: bool) -> None:
        self.__dict__.update(bus.__dict__)
        self._left, self._after = write, after

    async def publish_raw(self, *given: Any, **more: Any) -> int:
        self._left -= 1
        if self._left < 0 or (self._left == 0 and not self._after):
            raise Killed
        sequence = await super().publish_raw(*given, **more)
        if self._left == 0:
            raise Killed
        return sequence


async def journaled(bus: Bus, task: str) -> Counter[str]:
    """Digests of the calls that are complete in the journal."""
    found = await bus.read("JOURNAL", f"ws.v1.journal.*.{task}.>", 0)
    records = [JournalRecord.consume(stored.data) for stored in found]
    return Counter(record.digest for record in records if record.kind == "call")


def paid(model: ScriptedModel) -> Counter[str]:
    return Counter(request.digest for request in model.requests)


@pytest.mark.asyncio
async def test_a_step_is_journaled_counted_and_settled(bus: Bus) -> None:
    model = ScriptedModel(script(3))
    step = Step(bus, model)

    assert await step.run() == "done"

    assert step.ran == ["t0", "t1"]
    (use,) = step.costs.uses
    assert (use.model, use.calls, use.wasted, use.in_doubt_micro_usd) == (MODEL, 3, 0, 0)
    assert await step.spent() == (use.cost_micro_usd, 0, 0)
    assert use.cost_micro_usd > 0


@pytest.mark.asyncio
async def test_a_step_that_is_run_again_pays_nothing_and_runs_nothing(bus: Bus) -> None:
    model = ScriptedModel(script(4))
    step = Step(bus, model)
    await step.run()
    before = (step.costs.uses, await step.spent(), list(step.ran))

    assert await step.run() == "done"

    assert len(model.requests) == 4
    assert (step.costs.uses, await step.spent(), step.ran) == before


WRITES = 2 * (1 + 3 + 1 + 3) + 1
"""Of a step of two calls (claim, three reservations, reply, three settlements) and the tool's result between them."""


@pytest.mark.asyncio
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("write", range(1, WRITES + 1))
async def test_a_process_killed_at_any_write_pays_no_completed_call_twice(bus: Bus, write: int, after: bool) -> None:
    model = ScriptedModel(script(2))
    step = Step(bus, model)
    with pytest.raises(Killed):
        await step.run(DyingBus(bus, write, after))
    complete = await journaled(bus, step.task)

    assert await step.run() == "done"

    assert all(paid(model)[digest] == 1 for digest in complete)
    assert len(model.requests) <= 3
    assert max((await journaled(bus, step.task)).values()) == 1
    certain = sum(use.cost_micro_usd for use in step.costs.uses)
    spent, in_doubt, reserved = await step.spent()
    assert (spent - in_doubt, reserved) == (certain, 0)


@pytest.mark.asyncio
async def test_a_process_killed_during_each_of_ten_calls_repeats_that_call_alone(bus: Bus) -> None:
    class Dying(ScriptedModel):
        async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
            reply = await super().reply(request, heard)
            if paid(self)[request.digest] == 1:
                raise Killed  # the provider has answered, and nobody has heard it
            return reply

    model = Dying(script(10))
    step = Step(bus, model)
    for _ in range(10):
        with pytest.raises(Killed):
            await step.run()
    assert await step.run() == "done"

    assert set(paid(model).values()) == {2}
    assert sorted(step.ran) == sorted(set(step.ran)), "a tool's result was not taken from the journal"
    (use,) = step.costs.uses
    spent, in_doubt, reserved = await step.spent()
    assert (use.calls, spent - in_doubt, reserved) == (10, use.cost_micro_usd, 0)
    assert in_doubt >= use.cost_micro_usd, "what may have been billed does not count"


@pytest.mark.asyncio
async def test_an_edit_is_repeated_and_its_result_is_the_first_ones(bus: Bus) -> None:
    step = Step(bus, ScriptedModel(script(1)))
    results: Iterator[str] = iter(["first", "second"])

    async def edit() -> ToolResult:
        return ToolResult(tool_use_id="t", content=next(results))

    use = ToolUse(id="t", name="edit", input={})
    first = await (await step.opened()).use(use, edit, repeat=True)
    assert await (await step.opened()).use(use, edit, repeat=True) == first
    assert next(results, None) is None


@pytest.mark.asyncio
async def test_of_two_holders_of_a_step_only_the_newest_goes_on(bus: Bus) -> None:
    step = Step(bus, ScriptedModel(script(3)))
    old = await step.opened()
    request = ModelRequest(model=MODEL, max_tokens=400, tools=(LOOK,), turns=(user("work"),))
    first = await old.ask(request)

    assert await step.run() == "done"

    with pytest.raises(Fenced):
        await old.use(first.tool_uses[0], step._tool(first.tool_uses[0]))
    with pytest.raises(Fenced):
        await old.ask(request.model_copy(update={"system": "another"}))


@pytest.mark.asyncio
async def test_a_call_taken_over_while_it_is_under_way_is_not_written_down_by_its_old_holder(bus: Bus) -> None:
    gate, calling = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedModel):
        async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
            reply = await super().reply(request, heard)
            if len(self.requests) == 1:
                calling.set()
                await gate.wait()
            return reply

    step = Step(bus, Slow(script(1)))
    old = asyncio.create_task(step.run())
    await calling.wait()
    assert await step.run() == "done"
    gate.set()
    with pytest.raises(Fenced):
        await old
    assert sum((await journaled(bus, step.task)).values()) == 1


@pytest.mark.asyncio
async def test_an_old_holders_call_is_paid_and_counted_beside_the_new_ones(bus: Bus) -> None:
    gate, calling = asyncio.Event(), asyncio.Event()

    class Slow(ScriptedModel):
        async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
            reply = await super().reply(request, heard)
            if len(self.requests) == 1:
                calling.set()
                await gate.wait()
            else:  # the old holder hears its reply while the new one's call is under way
                gate.set()
                await asyncio.wait([old])
            return reply

    step = Step(bus, Slow(script(1)))
    old = asyncio.create_task(step.run())
    await calling.wait()
    assert await step.run() == "done"
    with pytest.raises(Fenced):
        await old
    (use,) = step.costs.uses
    spent, in_doubt, reserved = await step.spent()
    assert (spent - in_doubt, reserved) == (use.cost_micro_usd, 0)
    assert in_doubt > 0


@pytest.mark.asyncio
async def test_a_cancelled_call_counts_at_its_worst_and_leaves_nothing_reserved(bus: Bus) -> None:
    calling = asyncio.Event()

    class Stuck(ScriptedModel):
        async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
            calling.set()
            await asyncio.Event().wait()
            raise AssertionError

    step = Step(bus, Stuck(script(1)))
    running = asyncio.create_task(step.run())
    await calling.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    spent, in_doubt, reserved = await step.spent()
    assert (spent, reserved) == (in_doubt, 0)
    assert spent > 0


@pytest.mark.asyncio
async def test_a_reply_whose_price_nobody_knows_is_kept_and_costs_the_worst(bus: Bus) -> None:
    class Hurried(ScriptedModel):
        async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
            reply = await super().reply(request, heard)
            return reply.model_copy(update={"usage": reply.usage.model_copy(update={"tier": "priority"})})

    usual, hurried = Step(bus, ScriptedModel(script(1))), Step(bus, Hurried(script(1)))
    assert await usual.run() == await hurried.run() == "done"
    assert hurried.costs.uses[0].cost_micro_usd > usual.costs.uses[0].cost_micro_usd


@pytest.mark.asyncio
async def test_a_replica_that_lags_makes_nobody_pay_twice(bus: Bus) -> None:
    lagging = LaggingBus(bus.client, bus.settings, bus._denied)
    model = ScriptedModel(script(2))
    step = Step(lagging, model)
    await lagging.fall_behind("JOURNAL")
    await step.run(bus)
    with pytest.raises(BusUnavailable, match="cannot be seen yet"):
        await step.run()
    assert len(model.requests) == 2
    lagging.catch_up()
    assert await step.run() == "done"
    assert len(model.requests) == 2


@pytest.mark.asyncio
async def test_another_prompt_leaves_the_old_path_and_is_remembered_as_a_whole(bus: Bus) -> None:
    model = ScriptedModel(script(3))
    step = Step(bus, model)
    await step.run(system="old prompt")
    await step.run(system="new prompt, after a deploy")
    assert len(model.requests) == 6

    assert await step.run(system="new prompt, after a deploy") == "done"
    assert len(model.requests) == 6


@pytest.mark.asyncio
async def test_a_reply_too_large_for_a_message_is_an_artifact(bus: Bus) -> None:
    large = Reply.saying("word " * 40_000)
    model = ScriptedModel(Script(conversations=(Conversation(opening="work", replies=(large,)),)))
    step = Step(bus, model)
    assert await step.run() == await step.run() == "word " * 40_000
    assert len(model.requests) == 1


@pytest.mark.asyncio
async def test_a_journal_that_cannot_be_read_stops_the_step(bus: Bus) -> None:
    step = Step(bus, ScriptedModel(script(1)))
    subject = subjects.journal_subject(TENANT, step.task, "builder", "2-build", 1)
    await bus.publish_raw(subject, b"{", {"ce-source": "builder"})
    with pytest.raises(MalformedMessage, match=r"journal"):
        await step.run()


# Budgets and prices.


@pytest.mark.asyncio
async def test_a_model_of_unknown_price_is_never_called(bus: Bus) -> None:
    model = ScriptedModel(script(1))
    calls = await Step(bus, model).opened()
    with pytest.raises(UnknownPrice):
        await calls.ask(ModelRequest(model="gpt-9", max_tokens=10, turns=(user("work"),)))
    assert model.requests == []


@pytest.mark.asyncio
@pytest.mark.parametrize(("wanted", "asked"), [(100_000, 64_000), (400, 400)])
async def test_no_model_is_asked_for_more_output_than_its_row_says_it_has(bus: Bus, wanted: int, asked: int) -> None:
    """Servers refuse a request for more, and so would every step of an agent whose model is a small one."""
    model = ScriptedModel(script(1))
    step = Step(bus, model)
    request = ModelRequest(model="claude-haiku-4-5", max_tokens=wanted, turns=(user("work"),))
    for _ in range(2):  # the second time from the journal
        assert (await (await step.opened()).ask(request)).text == "done"
    assert [sent.max_tokens for sent in model.requests] == [asked]


@pytest.mark.asyncio
async def test_a_call_that_could_exceed_the_budget_is_never_made(bus: Bus) -> None:
    model = ScriptedModel(script(9))
    step = Step(bus, model, BudgetLimits(10**9, 10**9, 330))
    refusals = value("worksite_model_budget_refusals_total", scope="step")
    with pytest.raises(BudgetExceeded, match="step"):
        await step.run()
    assert value("worksite_model_budget_refusals_total", scope="step") == refusals + 1
    spent, _, reserved = await step.spent()
    assert 0 < spent <= 330
    assert reserved == 0
    assert 0 < len(model.requests) < 9
    (use,) = step.costs.uses
    assert use.cost_micro_usd == spent


@pytest.mark.asyncio
async def test_near_the_limit_tokens_are_counted_instead_of_bytes(bus: Bus) -> None:
    request = ModelRequest(model=MODEL, max_tokens=10, turns=(user("work " * 1000),))
    by_bytes = PRICES.at_most(MODEL, len(request.canonical()), 10) * 1_000_000
    model = ScriptedModel(script(1))
    calls = await Step(bus, model, BudgetLimits(10**9, 10**9, int(by_bytes / 2))).opened()
    refusals = value("worksite_model_budget_refusals_total", scope="step")
    assert (await calls.ask(request)).text == "done"
    assert value("worksite_model_budget_refusals_total", scope="step") == refusals


# Trouble.


def trouble(kind: Any, **more: Any) -> ModelUnavailable:
    return ModelUnavailable(kind, "as planned", **more)


@pytest.mark.asyncio
async def test_a_try_that_brought_nothing_and_cost_nothing_is_tried_again_for_free(bus: Bus) -> None:
    model = ScriptedModel(script(1), [trouble("overloaded"), trouble("rate_limited", retry_after_seconds=7)])
    step = Step(bus, model)
    assert await step.run() == "done"
    assert len(step.slept) == 2
    assert step.slept[1] >= 7
    (use,) = step.costs.uses
    assert (use.calls, use.wasted) == (1, 0)


@pytest.mark.asyncio
async def test_what_a_call_waits_for_is_said_once_per_change_and_by_whom(bus: Bus) -> None:
    refused = ModelUnavailable("connection", "Connection refused")
    model = ScriptedModel(script(1), [refused, refused, trouble("overloaded")])
    step = Step(bus, model, server="http://models:8088")
    await step.run()
    assert step.told == [
        "waiting for the model's provider at http://models:8088: Connection refused; trying again",
        "waiting for the model's provider at http://models:8088: overloaded: as planned; trying again",
        "the model's provider at http://models:8088 answers again",
    ]


@pytest.mark.asyncio
async def test_a_step_that_is_handed_back_says_what_was_tried(bus: Bus) -> None:
    refused = ModelUnavailable("connection", "Connection refused")
    step = Step(bus, ScriptedModel(script(1), [refused] * 5), server="http://models:8088")
    with pytest.raises(ModelUnavailable):
        await step.run()
    assert len(step.told) == 2
    assert step.told[-1].endswith("Connection refused; tried 5 times; the step is taken up again in a while")


@pytest.mark.asyncio
async def test_a_broken_reply_counts_with_its_prompt_and_is_in_doubt(bus: Bus) -> None:
    broken = trouble("broken_stream", response_id="msg_1", usage=Usage(input_tokens=100, complete=False))
    step = Step(bus, ScriptedModel(script(1), [broken]))
    assert await step.run() == "done"
    (use,) = step.costs.uses
    assert (use.calls, use.wasted) == (1, 1)
    assert use.input_tokens > 100
    assert use.in_doubt_micro_usd == 100 * 0.10 + 400 * 0.50
    assert await step.spent() == (use.cost_micro_usd, use.in_doubt_micro_usd, 0)


@pytest.mark.asyncio
async def test_a_silent_server_may_have_billed_the_worst(bus: Bus) -> None:
    step = Step(bus, ScriptedModel(script(1), [trouble("timeout")]))
    await step.run()
    (use,) = step.costs.uses
    assert use.in_doubt_micro_usd > 0
    assert await step.spent() == (use.cost_micro_usd, use.in_doubt_micro_usd, 0)


@pytest.mark.asyncio
async def test_a_provider_that_stays_away_has_the_step_handed_back_and_nothing_stays_reserved(bus: Bus) -> None:
    model = ScriptedModel(script(1), [trouble("server_error")] * 5)
    step = Step(bus, model)
    with pytest.raises(ModelUnavailable):
        await step.run()
    assert (len(model.requests), await step.spent()) == (5, (0, 0, 0))
    assert await step.run() == "done"


@pytest.mark.asyncio
async def test_a_refused_request_costs_nothing_and_the_next_one_takes_its_place(bus: Bus) -> None:
    step = Step(bus, ScriptedModel(script(1), [ModelRequestRefused(400, "invalid_request_error", "no")]))
    calls = await step.opened()
    request = ModelRequest(model=MODEL, max_tokens=10, turns=(user("work"),))
    with pytest.raises(ModelRequestRefused):
        await calls.ask(request)
    assert await step.spent() == (0, 0, 0)
    assert (await calls.ask(request)).text == "done"


@pytest.mark.asyncio
async def test_a_request_that_is_no_text_is_refused_and_nothing_is_booked_or_reserved(bus: Bus) -> None:
    api = MessagesApi(script(1))
    async with serving(api) as url:
        model = AnthropicModel(SecretStr(TEST_KEY), url)
        step = Step(bus, model)
        with pytest.raises(ModelRequestRefused, match="surrogate"):
            await step.run(system="caf\udce9")
        await model.close()
    assert (api.seen, step.slept, step.costs.uses, await step.spent()) == ([], [], (), (0, 0, 0))


@pytest.mark.asyncio
async def test_a_cancelled_wait_for_its_moment_leaves_nothing_reserved_and_the_moment_to_others(bus: Bus) -> None:
    waiting, limits = asyncio.Event(), PaceLimits(requests=1, input_tokens=60, burst_seconds=1)

    async def wait(_: float) -> None:
        waiting.set()
        await asyncio.Event().wait()

    held = Governor(bus, {MODEL: limits}, clock=lambda: 0.0, sleep=wait)
    step = Step(bus, ScriptedModel(script(1)), governor=held, patience_seconds=10**6)
    before = await held.admit(MODEL, 1, 1, 0)
    running = asyncio.create_task(step.run())
    await waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await step.spent() == (0, 0, 0)

    waits: list[float] = []

    async def note(seconds: float) -> None:
        waits.append(seconds)

    await held.settle(before, None)
    await Governor(bus, {MODEL: limits}, clock=lambda: 0.0, sleep=note).admit(MODEL, 1, 1, 1000)
    assert waits == [60], "only the call before takes time"


@pytest.mark.asyncio
async def test_a_bus_that_fails_at_the_pace_leaves_nothing_reserved(bus: Bus) -> None:
    class Away(Governor):
        async def admit(self, *given: Any) -> Pass:
            raise BusUnavailable("no answer")

    step = Step(bus, ScriptedModel(script(1)), governor=Away(bus, {}))
    with pytest.raises(BusUnavailable):
        await step.run()
    assert await step.spent() == (0, 0, 0)


def test_waits_grow_with_jitter_and_never_undercut_the_provider() -> None:
    retries, chance = Retries(tries=9), random.Random(1)
    waits = [retries.wait_after(trouble("overloaded"), tried, chance) for tried in range(1, 9)]
    assert all(wait is not None and wait <= min(16, 0.5 * 2**tried) for tried, wait in enumerate(waits, 1))
    assert retries.wait_after(trouble("overloaded"), 9, chance) is None
    assert retries.wait_after(trouble("rate_limited", retry_after_seconds=30), 1, chance) == 30
    assert retries.wait_after(trouble("rate_limited", retry_after_seconds=3600), 1, chance) is None


# Against the strict server.


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def tokens_told() -> dict[str, float]:
    kinds = ("input", "cache_read", "cache_write", "output")
    name = "worksite_model_tokens_total"
    return {kind: value(name, gen_ai_request_model=MODEL, gen_ai_token_type=kind) for kind in kinds}


@pytest.mark.asyncio
async def test_costs_and_metrics_are_the_servers_own_books_to_the_token(bus: Bus) -> None:
    """Through errors on the way, with a prefix that is cached; a second run is answered by the journal alone."""
    faults = (Fault("status", status=529), Fault("status", status=500, times=2))
    api = MessagesApi(script(8), faults=faults)
    async with serving(api) as url:
        model = AnthropicModel(SecretStr(TEST_KEY), url)
        step = Step(bus, model)
        before = tokens_told()
        for _ in range(2):
            assert await step.run(system="be careful " * 300) == "done"
        await model.close()
    billed = total(api.ledger)
    (use,) = step.costs.uses
    assert (use.calls, len(api.ledger)) == (8, 8)
    assert (use.input_tokens, use.cache_read_tokens, use.cache_write_5m_tokens, use.output_tokens) == (
        billed.input_tokens, billed.cache_read_tokens, billed.cache_write_5m_tokens, billed.output_tokens
    )  # fmt: skip
    assert billed.hit_rate > 0.8
    told = {kind: count - before[kind] for kind, count in tokens_told().items()}
    assert told["cache_read"] == billed.cache_read_tokens
    assert told["output"] == billed.output_tokens
    assert use.cost_micro_usd - sum(PRICES.cost(MODEL, line.usage) for line in api.ledger) * 1_000_000 < len(api.ledger)


@pytest.mark.asyncio
async def test_the_journal_is_a_recording_that_a_script_can_be_made_of(bus: Bus) -> None:
    step = Step(bus, ScriptedModel(script(3)))
    await step.run()
    found = await bus.read("JOURNAL", f"ws.v1.journal.*.{step.task}.>", 0)
    records = [JournalRecord.consume(stored.data) for stored in found]
    calls = [JournaledCall.model_validate_json(record.body or "") for record in records if record.kind == "call"]
    replies = tuple(Reply(content=call.completion.content, stops=call.completion.stop_reason) for call in calls)
    again = Step(bus, ScriptedModel(Script(conversations=(Conversation(opening="work", replies=replies),))))
    assert await again.run() == "done"
    assert isinstance(replies[-1].content[0], Text)
