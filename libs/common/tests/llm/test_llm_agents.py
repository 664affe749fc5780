"""A model at work: tools, answers that go back, circles, refusals in words for the client; and prompts as files."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from datetime import date
from typing import Literal

import pytest
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus
from worksite.common.errors import Permanent, StepRefused, StepWaits
from worksite.common.llm import (
    Conversation,
    ModelRequest,
    Prices,
    Reply,
    Script,
    ScriptedModel,
    Text,
    ToolResult,
    ToolUse,
    user,
)
from worksite.common.llm.agents import Agent, AgentTool, ToolFailed, told_to_the_client
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, StepCalls, Terms
from worksite.common.llm.circles import (
    IDLE_NUDGE_AFTER,
    IDLE_STUCK_AFTER,
    NUDGE_AFTER,
    STUCK_AFTER,
    Attention,
)
from worksite.common.llm.errors import BudgetExceeded, ModelRequestRefused, UnknownPrice
from worksite.common.llm.governor import Governor
from worksite.common.llm.prompts import Prompt, load_prompt
from worksite.common.messages import Model
from worksite.common.testing import examples
from worksite.common.testing.steps import step_context

MODEL = "claude-haiku-5-5"
REQUEST = ModelRequest(model=MODEL, max_tokens=100, turns=(user("work"),))


class Verdict(Model):
    status: Literal["ok"]
    number: int


class Add(Model):
    a: int
    b: int = 0


class Note(Model):
    text: str


async def add(given: Add) -> str:
    if given.a < 0:
        raise ToolFailed("no negative numbers")
    return str(given.a + given.b)


ADD = AgentTool("add", "Adds.", Add, add)


def use(**given: object) -> Reply:
    return Reply(content=(ToolUse.model_validate({"id": "t", "name": "add", "input": given}),))


def verdict(number: int) -> Reply:
    return Reply.saying(json.dumps({"status": "ok", "number": number}))


class Office:
    """Opens the same step again and again, as a replay does; `model` is the last one."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def calls(self, *replies: Reply) -> StepCalls:
        self.model = ScriptedModel(Script(conversations=(Conversation(opening="work", replies=replies),)))
        terms = Terms(self.model, Prices.shipped(date(2026, 11, 23)), Governor(self._bus, {}))
        command = examples.commands()[2]

        async def quiet(_: str) -> None: ...

        models = ModelCalls(self._bus, "builder", terms, BudgetLimits(10**9, 10**9, 10**9))
        return await models.of(command, step_context(Artifacts(self._bus), quiet))

    def results(self) -> list[ToolResult]:
        return [part for turn in self.model.requests[-1].turns for part in turn.content if isinstance(part, ToolResult)]

    def last_words(self) -> str:
        return "".join(part.text for part in self.model.requests[-1].turns[-1].content if isinstance(part, Text))


@pytest.fixture
def office(bus: Bus) -> Office:
    return Office(bus)


@pytest.mark.asyncio
async def test_tools_are_run_until_there_is_an_answer_in_its_form(office: Office) -> None:
    answer = await Agent(await office.calls(use(a=2, b=3), verdict(5)), Verdict, [ADD]).work(REQUEST)
    assert answer == Verdict(status="ok", number=5)
    assert [result.content for result in office.results()] == ["5"]
    assert office.model.requests[0].output
    assert [tool.name for tool in office.model.requests[0].tools] == ["add"]


@pytest.mark.asyncio
async def test_what_the_model_asks_wrongly_is_an_error_that_it_can_read(office: Office) -> None:
    unknown = Reply(content=(ToolUse(id="t", name="nosuch", input={}),))
    replies = (use(b=1), use(a=-1), unknown, verdict(1))
    await Agent(await office.calls(*replies), Verdict, [ADD]).work(REQUEST)
    told = [(result.content, result.is_error) for result in office.results()]
    assert told == [
        ("the input does not fit: a: Field required", True),
        ("no negative numbers", True),
        ("there is no tool nosuch", True),
    ]


HALF, PAIR = "\ud83d", "\ud83d\ude00"


@pytest.mark.asyncio
async def test_a_use_of_a_tool_with_half_a_character_is_not_run_and_is_paid_once(office: Office) -> None:
    ran: list[str] = []

    async def note(given: Note) -> str:
        ran.append(given.text)
        return "noted"

    tool = AgentTool("note", "Notes.", Note, note)
    uses = [Reply(content=(ToolUse(id="t", name="note", input={"text": text}),)) for text in (HALF, PAIR)]
    replies = (*uses, verdict(1))
    assert (await Agent(await office.calls(*replies), Verdict, [tool]).work(REQUEST)).number == 1
    assert ran == ["\U0001f600"], "the pair is one character"
    assert [result.is_error for result in office.results()] == [True, False]

    await Agent(await office.calls(*replies), Verdict, [tool]).work(REQUEST)
    assert office.model.requests == [], "what was paid is known again, half characters and all"


@pytest.mark.asyncio
async def test_an_answer_with_half_a_character_goes_back_and_is_then_refused(office: Office) -> None:
    halves = [Reply.saying(f'{{"status": "ok", "number": {number}}} {HALF}') for number in (1, 2)]
    assert (await Agent(await office.calls(halves[0], verdict(4)), Verdict).work(REQUEST)).number == 4
    assert "surrogate" in office.last_words()
    with pytest.raises(StepRefused, match="surrogate") as refused:
        await Agent(await office.calls(*halves), Verdict).work(REQUEST.model_copy(update={"max_tokens": 99}))
    assert refused.value.code == "unusable_answer"


@pytest.mark.asyncio
async def test_what_a_tool_says_that_is_no_text_is_spelled_for_the_model(office: Office) -> None:
    async def name(_: Note) -> str:
        return os.fsdecode(b"caf\xe9.txt")

    replies = (Reply(content=(ToolUse(id="t", name="name", input={"text": ""}),)), verdict(1))
    await Agent(await office.calls(*replies), Verdict, [AgentTool("name", "Names.", Note, name)]).work(REQUEST)
    assert [result.content for result in office.results()] == [r"caf\udce9.txt"]


@pytest.mark.asyncio
@pytest.mark.parametrize("bad", [Reply.saying("so be it"), Reply.saying('{"status": "ok"}'), verdict(13)])
async def test_an_answer_that_cannot_be_used_goes_back_once_with_the_reasons(office: Office, bad: Reply) -> None:
    async def faults(answer: Verdict) -> Sequence[str]:
        return ("not 13, please",) if answer.number == 13 else ()

    agent = Agent(await office.calls(bad, verdict(4)), Verdict, faults=faults)
    assert (await agent.work(REQUEST)).number == 4
    assert office.last_words().startswith("Your answer cannot be used:\n- ")

    with pytest.raises(StepRefused) as refused:
        await Agent(await office.calls(bad, bad, verdict(4)), Verdict, faults=faults).work(
            REQUEST.model_copy(update={"max_tokens": 99})
        )
    assert refused.value.code == "unusable_answer"


@pytest.mark.asyncio
async def test_an_answer_that_was_cut_off_goes_back_without_the_use_of_a_tool_that_nobody_can_answer(
    office: Office,
) -> None:
    cut = Reply(content=(Text(text="I will"), ToolUse(id="t", name="add", input={})), stops="max_tokens")
    answer = await Agent(await office.calls(cut, verdict(1)), Verdict, [ADD]).work(REQUEST)
    assert answer.number == 1
    assert "answer more briefly" in office.last_words()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(content=(Text(text="No."),), stops="refusal", refusal="cyber"), "model_refused"),
        (Reply(content=(), stops="max_tokens"), "unusable_answer"),
    ],
)
async def test_a_refusal_and_an_empty_answer_are_final(office: Office, reply: Reply, code: str) -> None:
    with pytest.raises(StepRefused) as refused:
        await Agent(await office.calls(reply), Verdict).work(REQUEST)
    assert refused.value.code == code


@pytest.mark.asyncio
async def test_a_paused_reply_goes_on(office: Office) -> None:
    paused = Reply(content=(Text(text="hm"),), stops="pause_turn")
    assert (await Agent(await office.calls(paused, verdict(1)), Verdict).work(REQUEST)).number == 1


UNRETURNABLE = {
    "paused without a word": Reply(content=(Text(text=" "),), stops="pause_turn"),
    "paused in the use of a tool": Reply(content=use(a=1).content, stops="pause_turn"),
    "two uses by one id": Reply(content=use(a=1).content * 2),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", UNRETURNABLE)
async def test_a_reply_that_cannot_go_back_to_the_model_is_an_answer_that_cannot_be_used(
    office: Office, kind: str
) -> None:
    with pytest.raises(StepRefused, match="the reply does not fit") as refused:
        await Agent(await office.calls(UNRETURNABLE[kind]), Verdict, [ADD]).work(REQUEST)
    assert refused.value.code == "unusable_answer"


@pytest.mark.asyncio
async def test_a_model_that_repeats_itself_is_told_so_and_then_stopped(office: Office) -> None:
    with pytest.raises(StepRefused, match="goes in circles") as refused:
        await Agent(await office.calls(*[use(a=1)] * 20), Verdict, [ADD]).work(REQUEST)
    assert refused.value.code == "agent_stuck"
    assert len(office.model.requests) == STUCK_AFTER + 1
    nudged = [n for n, turn in enumerate(office.model.requests[-1].turns[2::2]) if len(turn.content) > 1]
    assert nudged == [NUDGE_AFTER]


@pytest.mark.asyncio
async def test_a_model_that_is_never_done_is_stopped(office: Office) -> None:
    with pytest.raises(StepRefused, match="not done after 4 turns"):
        await Agent(await office.calls(*[use(a=n) for n in range(9)]), Verdict, [ADD], max_turns=4).work(REQUEST)


@pytest.mark.asyncio
async def test_a_replay_calls_nothing_and_runs_nothing_but_edits(office: Office) -> None:
    ran: list[int] = []

    async def count(given: Add) -> str:
        ran.append(given.a)
        return "ran"

    look, edit = AgentTool("add", "", Add, count), AgentTool("edit", "", Add, count, edits=True)
    replies = (use(a=1), Reply(content=(ToolUse(id="e", name="edit", input={"a": 2}),)), verdict(3))
    await Agent(await office.calls(*replies), Verdict, [look, edit]).work(REQUEST)
    await Agent(await office.calls(), Verdict, [look, edit]).work(REQUEST)
    assert ran == [1, 2, 2]


@pytest.mark.asyncio
async def test_a_result_of_a_tool_is_bounded_and_never_empty(office: Office) -> None:
    async def say(given: Add) -> str:
        return "x" * given.a

    tool = AgentTool("add", "", Add, say)
    await Agent(await office.calls(use(a=0), use(a=99_999), verdict(1)), Verdict, [tool]).work(REQUEST)
    empty, long = office.results()
    assert empty.content == "(nothing)"
    assert len(long.content) < 31_000
    assert long.content.endswith("99999 characters in all")


def test_an_agent_whose_work_is_to_edit_is_stuck_when_it_only_looks():
    attention, nudges = Attention(editing=True), 0
    for n in range(IDLE_STUCK_AFTER):
        assert not attention.stuck
        attention = attention.after(
            [(ToolUse(id="t", name="add", input={"a": n}), ToolResult(tool_use_id="t", content=""))], False
        )
        nudges += attention.nudge is not None
    assert attention.stuck
    assert nudges == 1
    assert IDLE_NUDGE_AFTER < IDLE_STUCK_AFTER
    assert not attention.after([], True).stuck


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (ModelRequestRefused(400, "invalid_request_error", "prompt is too long"), "model_request_refused", "too long"),
        (UnknownPrice("no price"), "unknown_price", "no price"),
    ],
)
def test_what_no_further_try_can_help_is_told_to_the_client(error: Exception, code: str, word: str):
    with pytest.raises(StepRefused) as refused, told_to_the_client("http://models"):
        raise error
    assert refused.value.code == code
    assert word in refused.value.detail


@pytest.mark.parametrize(
    ("error", "named", "setting"),
    [
        (BudgetExceeded("task", "too dear"), "Too dear", "BUDGET_TASK_USD"),
        (ModelRequestRefused(401, "authentication_error", "no"), "http://models", "ANTHROPIC_API_KEY"),
        (ModelRequestRefused(403, "permission_error", "no"), "http://models", "ANTHROPIC_API_KEY"),
        (ModelRequestRefused(429, "rate_limit_error", "spent"), "http://models", "ANTHROPIC_API_KEY"),
    ],
)
def test_what_a_setting_mends_is_asked_and_ends_no_task(error: Exception, named: str, setting: str):
    with pytest.raises(StepWaits) as waits, told_to_the_client("http://models"):
        raise error
    assert named in waits.value.detail
    assert setting in waits.value.hint


def test_a_prompt_is_known_by_the_hash_of_its_text(tmp_path):
    (tmp_path / "builder.md").write_text("Build.\n")
    prompt = load_prompt(tmp_path, "builder")
    assert prompt == Prompt("builder", "Build.")
    assert prompt.engine("m-1") == f"model:m-1+builder@{prompt.sha256[:12]}"
    assert prompt.sha256 != Prompt("builder", "Build!").sha256


@pytest.mark.parametrize("content", [None, "", b"\xff\xfe\xfa"])
def test_a_prompt_that_cannot_be_read_ends_the_start_with_the_setting_that_names_its_folder(tmp_path, content):
    if content is not None:
        (tmp_path / "builder.md").write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(Permanent, match=r"builder\.md"):
        load_prompt(tmp_path, "builder")
