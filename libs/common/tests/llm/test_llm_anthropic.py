"""The adapter against a server that breaks in every way that real ones do: nothing is taken for whole that is not,
nothing hangs, nothing is tried again behind our back, and what will be billed is told."""

from __future__ import annotations

import asyncio
import json
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr
from worksite.common.errors import Permanent, Retryable, WorksiteError
from worksite.common.llm import (
    Completion,
    Conversation,
    ModelRequest,
    Reply,
    Script,
    Text,
    Thinking,
    Tool,
    ToolUse,
    user,
)
from worksite.common.llm.anthropic_model import AnthropicModel, Patience
from worksite.common.llm.errors import ModelRequestRefused, ModelUnavailable
from worksite.common.llm.provider_errors import retry_after
from worksite.common.llm.streaming import StreamedReply
from worksite.common.testing.messages_api import Fault, MessagesApi, serving
from worksite.common.testing.messages_api.answers import Answer
from worksite.common.testing.messages_api.api import TEST_KEY

LONG = "a reply that is long enough to come in several pieces " * 4
USE = ToolUse(id="toolu_1", name="look", input={"path": "a.py", "why": "because"})
SCRIPT = Script(
    conversations=(
        Conversation(opening="hello", replies=(Reply.saying(LONG),)),
        Conversation(
            opening="work",
            replies=(Reply(content=(Thinking(thinking="hm", signature="s"), Text(text="ok"), USE)),),
        ),
    )
)
REQUEST = ModelRequest(model="claude-haiku-5-5", max_tokens=500, turns=(user("hello"),))
TOOLS = (Tool(name="look", description="", input_schema={"type": "object"}),)


@asynccontextmanager
async def meeting(
    *faults: Fault, silence: float = 30.0, whole: float = 30.0, key: str = TEST_KEY
) -> AsyncIterator[tuple[AnthropicModel, MessagesApi]]:
    """The adapter and the server that it talks to."""
    api = MessagesApi(SCRIPT, faults=faults)
    async with serving(api) as url:
        model = AnthropicModel(SecretStr(key), url, Patience(whole, silence))
        try:
            yield model, api
        finally:
            await model.close()


async def trouble(*faults: Fault, **options: Any) -> ModelUnavailable:
    """What the adapter raises; the next try gets through on the same pool, and nothing was tried in between."""
    async with meeting(*faults, **options) as (model, api):
        with pytest.raises(ModelUnavailable) as caught:
            await model.reply(REQUEST)
        assert len(api.seen) == 1
        assert isinstance(caught.value, Retryable)
        assert (await model.reply(REQUEST)).text == LONG
        return caught.value


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "expected"),
    [(408, "timeout"), (429, "rate_limited"), (500, "server_error"), (503, "server_error"), (504, "timeout"),
     (529, "overloaded")],
)  # fmt: skip
async def test_an_error_that_may_pass_is_told_at_once_and_not_tried_again(status: int, expected: str) -> None:
    error = await trouble(Fault("status", status=status))
    assert error.trouble == expected
    assert error.usage is None


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 413, 422])
async def test_an_error_that_will_not_pass_is_permanent(status: int) -> None:
    async with meeting(Fault("status", status=status)) as (model, api):
        with pytest.raises(ModelRequestRefused) as caught:
            await model.reply(REQUEST)
        assert isinstance(caught.value, Permanent)
        assert (caught.value.status, caught.value.request_id) == (status, "req_00000001")
        assert len(api.seen) == 1


@pytest.mark.asyncio
async def test_the_providers_own_word_on_trying_again_counts_more_than_the_status() -> None:
    assert (await trouble(Fault("status", status=400, headers={"x-should-retry": "true"}))).trouble == "server_error"
    async with meeting(Fault("status", status=529, headers={"x-should-retry": "false"})) as (model, _):
        with pytest.raises(ModelRequestRefused):
            await model.reply(REQUEST)


@pytest.mark.asyncio
async def test_an_account_that_has_spent_its_limit_is_not_tried_again() -> None:
    async with meeting(Fault("status", status=429, code="enforced_spend_limit_reached")) as (model, _):
        with pytest.raises(ModelRequestRefused, match="429"):
            await model.reply(REQUEST)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [({"retry-after": "7"}, 7), ({"retry-after-ms": "250", "retry-after": "7"}, 0.25), ({}, None),
     ({"retry-after": "4294967295"}, 4294967295), ({"retry-after": "soon"}, None)],
)  # fmt: skip
async def test_the_wish_to_wait_is_handed_on_as_it_came(headers: dict[str, str], seconds: float | None) -> None:
    assert (await trouble(Fault("status", status=429, headers=headers))).retry_after_seconds == seconds


def test_a_wish_to_wait_may_be_a_date() -> None:
    now = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
    assert retry_after({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, now) == 30
    assert retry_after({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, now) == 0


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "expected"),
    [("truncate", "broken_stream"), ("reset", "broken_stream"), ("half_frame", "broken_stream"),
     ("error_event", "overloaded"), ("garbage", "malformed"), ("unopened", "malformed")],
)  # fmt: skip
async def test_a_reply_that_breaks_off_is_none_and_its_prompt_is_known(kind: Any, expected: str) -> None:
    error = await trouble(Fault(kind))
    assert error.trouble == expected
    assert error.response_id == "msg_00000001"
    assert error.usage
    assert error.usage.prompt_tokens > 0
    assert not error.usage.complete


@pytest.mark.asyncio
async def test_a_stream_cut_anywhere_is_never_taken_for_a_reply() -> None:
    """Also right before its last event, where text, stop reason and usage are all there."""
    async with meeting() as (model, api):
        await model.reply(REQUEST)
        frames = len(api.answer("POST", "/v1/messages", api.seen[0].headers, api.seen[0].body).chunks)
    faults = [Fault("truncate", after_events=events) for events in range(frames)]
    async with meeting(*faults) as (model, api):
        for _ in faults:
            with pytest.raises(ModelUnavailable):
                await model.reply(REQUEST)
        assert len(api.seen) == frames > 10


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["not_a_stream", "not_json"])
async def test_an_answer_that_is_no_stream_is_malformed(kind: Any) -> None:
    assert (await trouble(Fault(kind))).trouble == "malformed"


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ["silent", "stall"])
async def test_a_server_that_falls_silent_is_given_up(kind: Any) -> None:
    assert (await trouble(Fault(kind), silence=0.3)).trouble == "timeout"


@pytest.mark.asyncio
async def test_a_server_that_is_never_silent_and_never_done_meets_the_deadline() -> None:
    error = await trouble(Fault("slow", pause_seconds=0.5), whole=3.0)
    assert error.trouble == "timeout"
    assert error.usage


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_a_connection_that_failed() -> None:
    model = AnthropicModel(SecretStr(TEST_KEY), "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable) as caught:
        await model.reply(REQUEST)
    assert caught.value.trouble == "connection"
    await model.close()


@pytest.mark.asyncio
async def test_a_cancelled_call_lets_go_of_its_connection() -> None:
    async with meeting(Fault("stall")) as (model, api):
        call = asyncio.create_task(model.reply(REQUEST))
        while not api.seen:
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await model.reply(REQUEST)).text == LONG


@pytest.mark.asyncio
async def test_usage_is_the_servers_to_the_token_in_every_class() -> None:
    long = REQUEST.model_copy(update={"system": "be brief " * 400, "cache": "1h"})
    async with meeting() as (model, api):
        replies = [await model.reply(request) for request in (long, long, REQUEST)]
    told = [(r.id, r.usage.model_copy(update={"geo": None})) for r in replies]
    assert told == [(line.response_id, line.usage) for line in api.ledger]
    assert replies[0].usage.cache_write_1h_tokens > 0
    assert replies[1].usage.hit_rate > 0.9
    assert replies[2].usage.input_tokens > 0


@pytest.mark.asyncio
async def test_tool_inputs_and_thinking_come_as_they_were_written() -> None:
    async with meeting() as (model, _):
        reply = await model.reply(REQUEST.model_copy(update={"turns": (user("work"),), "tools": TOOLS}))
    assert reply.content == (Thinking(thinking="hm", signature="s"), Text(text="ok"), USE)
    assert reply.usage.thinking_tokens > 0


CANARY = "sk-canary-0123456789"


class Quoting(MessagesApi):
    """Repeats the key that it was given, as some servers do."""

    status = 401

    def answer(self, *given: Any) -> Answer:
        error = {"type": "error", "error": {"type": CANARY, "message": f"bad {given[2]['authorization']}"}}
        return Answer(self.status, (json.dumps(error).encode(),), headers={"x-should-retry": "false"})


def told_of(error: BaseException) -> str:
    """All that a log would hold of it."""
    return "".join(traceback.format_exception(error))


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
async def test_a_key_that_a_server_quotes_is_never_told(status: int, caplog: pytest.LogCaptureFixture) -> None:
    api = Quoting(SCRIPT)
    api.status = status
    caplog.set_level("DEBUG")
    async with serving(api) as url:
        model = AnthropicModel(SecretStr(CANARY), url)
        for ask in (model.reply, model.count_tokens):
            with pytest.raises(ModelRequestRefused) as caught:
                await ask(REQUEST)
            assert caught.value.status == status
            assert CANARY not in told_of(caught.value) + caught.value.kind
        await model.close()
    assert CANARY not in caplog.text


@pytest.mark.asyncio
@pytest.mark.parametrize("odd", ["\n", "\u2028", "\x00"])
async def test_a_key_that_no_header_can_carry_is_not_quoted_by_what_comes_of_it(odd: str) -> None:
    async with meeting(key=CANARY + odd + CANARY) as (model, _):
        with pytest.raises(WorksiteError) as caught:
            await model.reply(REQUEST)
    assert "canary" not in told_of(caught.value)


@pytest.mark.asyncio
@pytest.mark.parametrize("ask", ["reply", "count_tokens"])
async def test_a_request_that_is_no_text_is_refused_before_it_is_sent(ask: str) -> None:
    async with meeting() as (model, api):
        with pytest.raises(ModelRequestRefused, match="surrogate"):
            await getattr(model, ask)(REQUEST.model_copy(update={"system": "caf\udce9"}))
        assert api.seen == []


@pytest.mark.parametrize(
    ("written", "garbled"),
    [('{"a": "b"', True), ("[1]", True), ('{"a": ' + "[" * 150 + "]" * 150 + "}", True), ("[" * 10**5, True),
     ('{"a": ' + "[" * 50 + "]" * 50 + "}", False)],
)  # fmt: skip
def test_an_input_that_no_journal_could_give_back_is_none_and_the_reply_counts_as_one(written: str, garbled: bool):
    reply = StreamedReply()
    use = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
    for event in (
        {"type": "message_start", "message": {"id": "m", "model": "x", "usage": {"input_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": use},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": written}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ):
        reply.take(event)
    told = reply.completion(None)
    assert (told.garbled, told.tool_uses[0].input == {}) == (garbled, garbled)
    assert Completion.model_validate_json(told.model_dump_json()) == told


@pytest.mark.asyncio
async def test_halves_of_one_character_that_come_in_two_pieces_are_that_character() -> None:
    reply = StreamedReply()
    message = {"id": "m", "model": "x", "usage": {"input_tokens": 1, "output_tokens": 1}}
    events = [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": half}}
          for half in ("\ud83d", "\ude00")),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}},
        {"type": "message_stop"},
    ]  # fmt: skip
    for event in events:
        reply.take(event)
    told = reply.completion(None)
    assert (told.text, told.garbled) == ("\U0001f600", False)


@pytest.mark.asyncio
async def test_counting_tokens_meets_the_same_errors() -> None:
    async with meeting(key="sk-wrong") as (model, _):
        with pytest.raises(ModelRequestRefused):
            await model.count_tokens(REQUEST)
    model = AnthropicModel(SecretStr(TEST_KEY), "http://127.0.0.1:9")
    with pytest.raises(ModelUnavailable):
        await model.count_tokens(REQUEST)
    await model.close()


@pytest.mark.asyncio
async def test_what_the_environment_says_of_accounts_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-somebodys")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "sk-somebodys")
    async with meeting() as (model, api):
        await model.reply(REQUEST)
    assert "sk-somebodys" not in str(api.seen[0].headers)


START = {
    "type": "message_start",
    "message": {"id": "m", "model": "x", "usage": {"input_tokens": 3, "output_tokens": 1}},
}
OPEN = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
SHUT = {"type": "content_block_stop", "index": 0}
END = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn"},
    "usage": {"output_tokens": 9, "input_tokens": None},
}
STOP = {"type": "message_stop"}


def heard(*events: dict[str, Any]) -> StreamedReply:
    reply = StreamedReply()
    for event in events:
        reply.take(event)
    return reply


def test_usage_at_the_end_overwrites_and_keeps_what_it_does_not_tell() -> None:
    usage = heard(START, OPEN, SHUT, END, STOP).completion(None).usage
    assert (usage.input_tokens, usage.output_tokens) == (3, 9)


def test_written_cache_without_its_lifetimes_counts_as_five_minutes_and_says_so() -> None:
    start = {**START, "message": {"id": "m", "model": "x", "usage": {"cache_creation_input_tokens": 50}}}
    usage = heard(start, OPEN, SHUT, END, STOP).completion(None).usage
    assert (usage.cache_write_5m_tokens, usage.cache_split_known) == (50, False)


@pytest.mark.parametrize(
    "events",
    [(OPEN,), (START, SHUT), (START, OPEN, OPEN), (START, OPEN, SHUT, {**OPEN, "type": "content_block_delta"}),
     (START, {**OPEN, "content_block": {"type": "hologram"}}), ({"type": "message_start"},)],
)  # fmt: skip
def test_events_in_an_impossible_order_are_malformed(events: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(ModelUnavailable, match="malformed"):
        heard(*events)


@pytest.mark.parametrize("events", [(), (START,), (START, OPEN, END, STOP), (START, OPEN, SHUT, STOP), (START, END)])
def test_an_unfinished_stream_is_no_completion(events: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(ModelUnavailable):
        heard(*events).completion(None)


def test_events_of_a_newer_server_are_passed_over() -> None:
    assert heard(START, {"type": "weather"}, OPEN, SHUT, END, STOP).completion(None).id == "m"
