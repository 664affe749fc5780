"""What every language model does for its callers: one suite, both adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Literal

import pytest
import pytest_asyncio
from pydantic import BaseModel, SecretStr
from worksite.common.errors import Permanent
from worksite.common.llm import (
    Completion,
    Conversation,
    LanguageModel,
    ModelRequest,
    Reply,
    Script,
    ScriptedModel,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    parsed,
    schema_of,
    user,
)
from worksite.common.llm.anthropic_model import AnthropicModel
from worksite.common.llm.errors import ModelRequestRefused, OutputRejected
from worksite.common.llm.scripted import ScriptExhausted
from worksite.common.testing.messages_api import MessagesApi, serving
from worksite.common.testing.messages_api.api import TEST_KEY

MODEL = "claude-haiku-5-5"
LOOK = Tool(name="look", description="look at a file", input_schema={"type": "object"})
THOUGHT = Thinking(thinking="", signature="signed")
FIRST, SECOND = (ToolUse(id=f"toolu_{n}", name="look", input={"path": f"{n}.py", "lines": [1, 2]}) for n in (1, 2))
Speaking = Callable[..., Awaitable[LanguageModel]]


@pytest_asyncio.fixture(params=["anthropic", "scripted"])
async def speaking(request: pytest.FixtureRequest) -> AsyncIterator[Speaking]:
    """Makes a model that says these replies to whoever opens with "hello"."""
    async with AsyncExitStack() as open_until_the_end:

        async def make(*replies: Reply) -> LanguageModel:
            script = Script(conversations=(Conversation(opening="hello", replies=replies),))
            if request.param == "scripted":
                return ScriptedModel(script)
            url = await open_until_the_end.enter_async_context(serving(MessagesApi(script)))
            model = AnthropicModel(SecretStr(TEST_KEY), url)
            open_until_the_end.push_async_callback(model.close)
            return model

        yield make


def asking(text: str = "hello", **more: object) -> ModelRequest:
    return ModelRequest.model_validate({"model": MODEL, "max_tokens": 500, "turns": (user(text),)} | more)


class Answer(BaseModel):
    route: Literal["feature", "fix"]
    score: float


@pytest.mark.asyncio
async def test_a_reply_comes_whole_and_is_heard_on_the_way(speaking: Speaking) -> None:
    model = await speaking(Reply.saying("good morning, and welcome to the machine"))
    heard: list[str] = []

    reply = await model.reply(asking(), heard.append)

    assert reply.text == "".join(heard) == "good morning, and welcome to the machine"
    assert (reply.stop_reason, reply.model) == ("end_turn", MODEL)
    assert reply.usage.complete
    assert reply.usage.prompt_tokens > 0
    assert reply.usage.output_tokens > 0


@pytest.mark.asyncio
async def test_each_reply_has_an_id_of_its_own(speaking: Speaking) -> None:
    model = await speaking(Reply.saying("yes"))
    assert (await model.reply(asking())).id != (await model.reply(asking())).id


@pytest.mark.asyncio
async def test_tools_are_used_at_once_and_their_results_are_taken_back(speaking: Speaking) -> None:
    model = await speaking(
        Reply(content=(THOUGHT, Text(text="let me look"), FIRST, SECOND)), Reply.saying("both are fine")
    )
    request = asking(tools=(LOOK,))

    reply = await model.reply(request)
    assert reply.tool_uses == (FIRST, SECOND)
    assert reply.content[0] == THOUGHT

    results = tuple(ToolResult(tool_use_id=use.id, content="ok", is_error=use is SECOND) for use in reply.tool_uses)
    last = await model.reply(request.then(reply.turn, Turn(role="user", content=results)))
    assert last.text == "both are fine"


@pytest.mark.asyncio
async def test_structured_output_is_parsed_into_its_model(speaking: Speaking) -> None:
    model = await speaking(Reply.saying('{"route": "fix", "score": 0.5}'))
    reply = await model.reply(asking(output=schema_of(Answer), effort="low", thinking="disabled"))
    assert parsed(reply, Answer) == Answer(route="fix", score=0.5)


@pytest.mark.asyncio
async def test_a_refusal_is_a_reply_that_cannot_be_parsed_and_is_paid(speaking: Speaking) -> None:
    model = await speaking(Reply(content=(), stops="refusal", refusal="cyber"))
    reply = await model.reply(asking(output=schema_of(Answer)))
    assert reply.usage.prompt_tokens > 0
    with pytest.raises(OutputRejected, match="cyber") as rejected:
        parsed(reply, Answer)
    assert rejected.value.reason == "refusal"


@pytest.mark.asyncio
async def test_a_tool_whose_input_was_cut_off_is_not_run(speaking: Speaking) -> None:
    model = await speaking(Reply(content=(FIRST,), stops="max_tokens"))
    reply = await model.reply(asking(tools=(LOOK,), max_tokens=3))
    assert reply.stop_reason == "max_tokens"
    assert reply.tool_uses == ()


@pytest.mark.asyncio
async def test_a_paused_reply_is_sent_back_as_it_came_and_goes_on(speaking: Speaking) -> None:
    model = await speaking(Reply(content=(Text(text="so far"),), stops="pause_turn"), Reply.saying("and on"))
    request = asking()
    paused = await model.reply(request)
    assert paused.stop_reason == "pause_turn"
    assert (await model.reply(request.then(paused.turn))).text == "and on"


@pytest.mark.asyncio
async def test_tokens_are_counted_before_they_are_paid(speaking: Speaking) -> None:
    model = await speaking(Reply.saying("yes"))
    request = asking(system="be brief " * 100)
    assert await model.count_tokens(request) == (await model.reply(request)).usage.prompt_tokens
    assert await model.count_tokens(request) > await model.count_tokens(asking())


@pytest.mark.asyncio
async def test_what_the_script_does_not_know_is_an_error_and_never_a_guess(speaking: Speaking) -> None:
    model = await speaking(Reply.saying("yes"))
    for request in (asking("good bye"), asking().then((await model.reply(asking())).turn, user("and then?"))):
        with pytest.raises((ScriptExhausted, ModelRequestRefused), match="script"):
            await model.reply(request)


@pytest.mark.asyncio
async def test_a_request_that_no_provider_takes_is_never_sent() -> None:
    with pytest.raises(ValueError, match="alternate"):
        asking(turns=(user("hello"), user("again")))
    assert issubclass(ModelRequestRefused, Permanent)


@pytest.mark.asyncio
async def test_a_reply_with_half_a_character_can_be_written_down_and_says_so(speaking: Speaking) -> None:
    halves = Reply(content=(ToolUse(id="t", name="look", input={"path": "\ud83d", "lines": ["\ude00\ud83d\ude00"]}),))
    reply = await (await speaking(halves)).reply(asking(tools=(LOOK,)))
    assert reply.garbled
    assert reply.tool_uses[0].input == {"path": "\ufffd", "lines": ["\ufffd\U0001f600"]}
    assert Completion.model_validate_json(reply.model_dump_json()) == reply


@pytest.mark.asyncio
async def test_a_request_that_is_no_text_is_refused_unsent(speaking: Speaking) -> None:
    model = await speaking(Reply.saying("yes"))
    for ask in (model.reply, model.count_tokens):
        with pytest.raises(ModelRequestRefused, match="cannot be sent"):
            await ask(asking("hello \udce9"))
