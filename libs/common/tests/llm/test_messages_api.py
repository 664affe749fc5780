"""The strict server is as strict as it says: an oracle that lets things pass proves nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import anthropic
import pytest
from worksite.common.llm import Conversation, Reply, Script, Text, Thinking, ToolUse
from worksite.common.testing.messages_api import Fault, Limits, MessagesApi, serving
from worksite.common.testing.messages_api.api import TEST_KEY, UNSCRIPTED
from worksite.common.testing.messages_api.billing import total

USE = ToolUse(id="t1", name="look", input={"path": "a"})
PAUSED = Text(text="so far")
SCRIPT = Script(
    conversations=(
        Conversation(opening="hello", replies=(Reply.saying("one"), Reply.saying("two"), Reply.saying("three"))),
        Conversation(opening="json", replies=(Reply.saying('{"a": 1}'),)),
        Conversation(opening="work", replies=(Reply(content=(Thinking(thinking="", signature="s"), USE)),)),
        Conversation(opening="pause", replies=(Reply(content=(PAUSED,), stops="pause_turn"), Reply.saying("on"))),
        Conversation(opening="long", replies=(Reply.saying("word " * 100),)),
    )
)
TOOL = {"name": "look", "input_schema": {"type": "object"}}
HEADERS = {
    "authorization": f"Bearer {TEST_KEY}", "anthropic-version": "2026-10-21", "content-type": "application/json"
}  # fmt: skip
USED = {"role": "assistant", "content": [USE.model_dump()]}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
MARK = {"type": "ephemeral"}
HOUR = {"type": "ephemeral", "ttl": "1h"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def said(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": text}


def body(**changes: Any) -> dict[str, Any]:
    return {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": [said("hello")]} | changes


def ask(api: MessagesApi, path: str = "/v1/messages", headers: dict[str, str] | None = None, **changes: Any) -> Any:
    """Status and document."""
    answer = api.answer("POST", path, headers or HEADERS, json.dumps(body(**changes)).encode())
    return answer.status, json.loads(answer.chunks[0])


def block(text: str, control: dict[str, str] | None = None) -> dict[str, Any]:
    return {"type": "text", "text": text} | ({"cache_control": control} if control else {})


def turn(*blocks: dict[str, Any], role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(blocks)}


def schema(**changes: Any) -> dict[str, Any]:
    return {
        "messages": [said("json")],
        "output_config": {"format": {"type": "json_schema", "schema": SCHEMA | changes}},
    }


def deep(n: int, optional: bool) -> dict[str, Any]:
    names = [f"f{i}" for i in range(n)]
    part = {"type": "string"} if optional else {"anyOf": [{"type": "string"}, {"type": "null"}]}
    return schema(properties=dict.fromkeys(names, part), required=[] if optional else names)


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("surprise", {"surprise": 1}),
    ("cache_control.colour", {"messages": [turn(block("hello", {"type": "ephemeral", "colour": "red"}))]}),
    ("max_tokens", {"max_tokens": None}),
    ("max_tokens", {"max_tokens": 200_000}),
    ("max_tokens", {"max_tokens": "100"}),
    ("messages", {"messages": []}),
    ("too long", {"model": "claude-haiku-4-5", "max_tokens": 60_000, "system": "x" * 600_000}),
    ("alternate", {"messages": [said("hi", "assistant")]}),
    ("alternate", {"messages": [said("hello"), said("again")]}),
    ("prefill", {"messages": [said("hello"), said("{", "assistant")]}),
    ("non-whitespace", {"messages": [turn(block(" "))]}),
    ("at least 1", {"messages": [turn()]}),
    ("not allowed in user", {"messages": [turn(USE.model_dump())]}),
    ("not allowed in assistant", {"messages": [said("hello"), turn(RESULT, role="assistant"), said("x")]}),
    ("without `tool_result`", {"messages": [said("work"), USED, said("go on")], "tools": [TOOL]}),
    ("without `tool_result`", {"messages": [said("work"), USED, said("a"), said("b", "assistant"), turn(RESULT)]}),
    ("unexpected `tool_use_id`", {"messages": [said("hello"), said("one", "assistant"), turn(RESULT)]}),
    ("single result", {"messages": [said("work"), USED, turn(RESULT, RESULT)]}),
    ("come first", {"messages": [said("work"), USED, turn(block("well"), RESULT)]}),
    ("unique", {"tools": [TOOL, TOOL]}),
    ("while providing tools", {"tool_choice": {"type": "auto"}}),
    ("not found", {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "smell"}}),
    ("not supported by", {"model": "claude-opus-5-5", "tools": [TOOL], "tool_choice": {"type": "any"}}),
    ("must be object", {"tools": [{"name": "look", "input_schema": {"type": "string"}}]}),
    ("pattern", {"tools": [TOOL | {"name": "look at"}]}),
    ("maximum of 4", {"messages": [turn(*(block("hello", MARK) for _ in range(5)))]}),
    ("must not come after", {"messages": [turn(block("hello", MARK), block("x", HOUR))]}),
    ("ttl", {"messages": [turn(block("hello", {"type": "ephemeral", "ttl": "2h"}))]}),
    ("temperature", {"temperature": 1.0}),
    ("top_k", {"top_k": 5}),
    ("not supported by", {"model": "claude-sonnet-5-5", "thinking": {"type": "disabled"}}),
    ("cannot be disabled", {"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}}),
    ("not supported by", {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("greater than `thinking", {"model": "claude-opus-5", "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("signature", {"messages": [
        said("work"),
        turn({"type": "thinking", "thinking": "forged", "signature": "s"}, USE.model_dump(), role="assistant"),
        turn(RESULT)]}),
    ("additionalProperties", schema(additionalProperties=True)),
    ("maximum", schema(properties={"a": {"type": "integer", "maximum": 3}})),
    ("minItems", schema(properties={"a": {"type": "array", "items": {"type": "string"}, "minItems": 2}})),
    ("format", schema(properties={"a": {"type": "string", "format": "colour"}})),
    ("what it takes", schema(properties={"a": {}})),
    ("recursive", schema(properties={"a": {"$ref": "#/$defs/T"}}, **{"$defs": {
        "T": {"type": "array", "items": {"$ref": "#/$defs/T"}}}})),
    ("leads nowhere", schema(properties={"a": {"$ref": "#/$defs/T"}})),
    ("beside", schema(properties={"a": {"$ref": "#/$defs/T", "title": "x"}}, **{"$defs": {"T": {"type": "null"}}})),
    ("too complex", deep(25, optional=True)),
    ("too complex", deep(17, optional=False)),
    ("may be strict", {"tools": [TOOL | {"name": f"t{n}", "strict": True, "input_schema": SCHEMA} for n in range(21)]}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "changes"), REFUSED, ids=[f"{n}-{reason}" for n, (reason, _) in enumerate(REFUSED)])
def test_a_request_that_is_wrong_is_refused_with_the_reason_and_costs_nothing(reason: str, changes: Any) -> None:
    api = MessagesApi(SCRIPT)
    status, document = ask(api, **changes)
    assert (status, document["error"]["type"]) == (400, "invalid_request_error")
    assert reason in document["error"]["message"]
    assert "details" not in document["error"], "refused for want of a script, not for its fault"
    assert not api.ledger


ACCEPTED: list[dict[str, Any]] = [
    {},
    {"system": "be brief"},
    {"messages": [said("hello"), said("one", "assistant"), said("and?")]},
    {"messages": [said("work")], "tools": [TOOL], "tool_choice": {"type": "any"}},
    {"messages": [said("pause"), turn(block("so far"), role="assistant")]},
    {"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}},
    {"model": "claude-sonnet-5-5", "thinking": {"type": "between_tools"}},
    {"messages": [turn(*(block("hello", MARK) for _ in range(4)))]},
    {"messages": [turn(block("hello", HOUR), block("x", MARK))]},
    schema(),
    {"stop_sequences": ["x"], "metadata": {"user_id": "u"}, "service_tier": "auto"},
]


@pytest.mark.parametrize("changes", ACCEPTED, ids=range(len(ACCEPTED)))
def test_a_request_that_is_right_is_answered(changes: Any) -> None:
    status, document = ask(MessagesApi(SCRIPT), **changes)
    assert (status, document["type"]) == (200, "message")


@pytest.mark.parametrize(
    ("status", "changes"),
    [(401, {"authorization": "Bearer nobody"}), (401, {"authorization": ""}),
     (400, {"anthropic-version": "2020-01-01"}), (400, {"content-type": "text/plain"})],
)  # fmt: skip
def test_headers_are_checked(status: int, changes: dict[str, str]) -> None:
    assert ask(MessagesApi(SCRIPT), headers=HEADERS | changes)[0] == status


def test_both_forms_of_a_key_are_taken() -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "authorization"} | {"x-api-key": TEST_KEY}
    assert ask(MessagesApi(SCRIPT), headers=headers)[0] == 200


def test_sampling_is_refused_from_the_version_on_that_refuses_it() -> None:
    old = HEADERS | {"anthropic-version": "2023-06-01"}
    assert ask(MessagesApi(SCRIPT), headers=old, temperature=1.0)[0] == 200


def test_what_is_no_request_is_refused() -> None:
    api = MessagesApi(SCRIPT)
    assert api.answer("POST", "/v1/messages", HEADERS, b"{").status == 400
    assert api.answer("POST", "/v1/messages", HEADERS, b" " * (33 << 20)).status == 413
    assert api.answer("GET", "/v1/messages", HEADERS, b"").status == 405
    assert api.answer("POST", "/v1/other", HEADERS, b"{}").status == 404
    assert ask(api, model="claude-haiku-9")[0] == 404


def test_a_thread_is_refused_with_the_code_that_lets_clients_fall_back() -> None:
    status, document = ask(MessagesApi(SCRIPT), thread={"type": "create"})
    assert (status, document["error"]["details"]["error_code"]) == (400, "thread_unsupported_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": [said("never heard of")]},
        {"messages": [said("hello json")]},
        schema(properties={"a": {"type": "string"}}),
        {"messages": [said("work")]},
        {"messages": [said("work")], "tools": [TOOL | {"strict": True, "input_schema": SCHEMA}]},
    ],
    ids=["unknown", "ambiguous", "does not fit the schema", "tool not offered", "tool input does not fit"],
)
def test_what_the_script_may_not_say_is_told_apart_from_what_the_client_may_not_ask(changes: Any) -> None:
    status, document = ask(MessagesApi(SCRIPT), **changes)
    assert (status, document["error"]["details"]["error_code"]) == (400, UNSCRIPTED)


def test_bad_output_is_let_through_when_it_is_asked_for() -> None:
    wrong = schema(properties={"a": {"type": "string"}})
    assert ask(MessagesApi(SCRIPT, faults=(Fault("bad_output"),)), **wrong)[0] == 200


def test_an_output_over_its_limit_is_cut_there() -> None:
    status, document = ask(MessagesApi(SCRIPT), messages=[said("long")], max_tokens=10)
    assert (status, document["stop_reason"]) == (200, "max_tokens")
    assert document["content"][0]["text"] == ("word " * 8)
    assert document["usage"]["output_tokens"] == 10


def test_faults_come_as_often_as_planned_and_to_whom() -> None:
    api = MessagesApi(SCRIPT, faults=(Fault("status", times=2, opening="json"),))
    assert [ask(api, messages=[said(text)])[0] for text in ("hello", "json", "json", "json")] == [200, 529, 529, 200]


def test_counting_agrees_with_billing() -> None:
    api = MessagesApi(SCRIPT)
    request = {"system": "be brief", "tools": [TOOL]}
    counted = api.answer(
        "POST", "/v1/messages/count_tokens", HEADERS,
        json.dumps({name: value for name, value in body(**request).items() if name != "max_tokens"}).encode(),
    )  # fmt: skip
    ask(api, **request)
    assert json.loads(counted.chunks[0]) == {"input_tokens": api.ledger[0].usage.prompt_tokens}


# The cache.

BIG, BIGGER = "a" * 4000, "b" * 4000
"""Each about 1,000 tokens; Haiku 5.5 caches from 512."""


def usage(api: MessagesApi, **changes: Any) -> tuple[int, int, int, int]:
    """Plain, read, written for 5 minutes, for an hour; in hundreds of tokens, rounded."""
    status, document = ask(api, **changes)
    assert status == 200
    told = document["usage"]
    split = told["cache_creation"]
    assert told["cache_creation_input_tokens"] == sum(split.values())
    parts = (told["input_tokens"], told["cache_read_input_tokens"], *split.values())
    return tuple(round(part / 100) * 100 for part in parts)  # pyright: ignore[reportReturnType]


def marked(control: dict[str, str] = MARK, text: str = BIG) -> dict[str, Any]:
    return {"system": [block(text, control)]}


def test_a_prefix_is_written_once_and_read_after() -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    assert usage(api, **marked()) == (0, 0, 1000, 0)
    assert usage(api, **marked()) == (0, 1000, 0, 0)


def test_one_byte_changed_anywhere_before_the_mark_is_a_miss() -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    usage(api, **marked(), tools=[TOOL])
    assert usage(api, **marked(text="A" + BIG[1:]), tools=[TOOL])[1] == 0
    assert usage(api, **marked(), tools=[TOOL | {"description": "x"}])[1] == 0
    assert usage(api, **marked(), tools=[TOOL])[1] == 1000


def test_what_comes_after_the_mark_may_change() -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    usage(api, **marked())
    assert usage(api, **marked(), messages=[said("json")])[1] == 1000


@pytest.mark.parametrize(
    "other", [{"model": "claude-sonnet-5-5"}, schema() | {"messages": [said("json")]}], ids=["model", "format"]
)
def test_models_and_formats_do_not_share(other: dict[str, Any]) -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    usage(api, **marked())
    assert usage(api, **(marked() | other))[1] == 0


def test_effort_and_thinking_spoil_the_messages_and_not_what_comes_before() -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    both = marked() | {"messages": [turn(block("hello" + BIGGER, MARK))]}
    assert usage(api, **both) == (0, 0, 2000, 0)
    assert usage(api, **both, output_config={"effort": "low"}) == (0, 1000, 1000, 0)


def test_workspaces_do_not_share() -> None:
    api = MessagesApi(SCRIPT, keys={"k1": "one", "k2": "two"}, clock=Clock())
    for key in ("k1", "k2"):
        ask(api, headers=HEADERS | {"authorization": f"Bearer {key}"}, **marked())
    assert [line.usage.cache_read_tokens for line in api.ledger] == [0, 0]


def test_below_the_least_length_nothing_is_cached_and_nobody_says_so() -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    for _ in range(2):
        assert usage(api, **marked(text="a" * 2000)) == (500, 0, 0, 0)
    assert usage(api, model="claude-haiku-4-5", **marked()) == (1000, 0, 0, 0)


def test_entries_end_with_their_time_and_reading_renews_it() -> None:
    clock = Clock()
    api = MessagesApi(SCRIPT, clock=clock)
    usage(api, **marked())
    for seconds, read in ((299, 1000), (598, 1000), (899, 0)):
        clock.now = seconds
        assert usage(api, **marked())[1] == read


def test_an_hour_is_an_hour() -> None:
    clock = Clock()
    api = MessagesApi(SCRIPT, clock=clock)
    assert usage(api, **marked(HOUR)) == (0, 0, 0, 1000)
    clock.now = 3599
    assert usage(api, **marked(HOUR))[1] == 1000


def test_mixed_lifetimes_are_billed_apart() -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    mixed = marked(HOUR) | {"messages": [turn(block("hello" + BIGGER, MARK), block("tail" + BIG))]}
    assert usage(api, **mixed) == (1000, 0, 1000, 1000)


@pytest.mark.parametrize(("between", "read"), [(19, 1000), (20, 0)])
def test_a_mark_looks_back_twenty_blocks(between: int, read: int) -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    usage(api, messages=[turn(block("hello" + BIG, MARK))])
    more = [block(f"x{n}") for n in range(between - 1)]
    assert usage(api, messages=[turn(block("hello" + BIG), *more, block("end", MARK))])[1] == read


def test_nothing_is_cached_by_a_request_that_is_not_answered() -> None:
    api = MessagesApi(SCRIPT, clock=Clock())
    ask(api, **marked(), messages=[said("never heard of")])
    assert usage(api, **marked())[1] == 0


# Limits.


def test_requests_over_the_limit_are_told_when_to_come_back_and_cost_nothing() -> None:
    clock = Clock()
    api = MessagesApi(SCRIPT, limits=Limits(requests=2), clock=clock)
    assert [ask(api)[0] for _ in range(3)] == [200, 200, 429]
    refused = api.answer("POST", "/v1/messages", HEADERS, json.dumps(body()).encode())
    assert refused.headers["retry-after"] == "30"
    clock.now = 30
    assert ask(api)[0] == 200
    assert len(api.ledger) == 3


def test_tokens_read_from_the_cache_are_no_input() -> None:
    api = MessagesApi(SCRIPT, limits=Limits(input_tokens=1100), clock=Clock())
    assert [ask(api, **marked())[0] for _ in range(5)] == [200] * 5
    assert ask(api, **marked(text=BIGGER))[0] == 429


def test_output_is_counted_when_it_is_known() -> None:
    clock = Clock()
    api = MessagesApi(SCRIPT, limits=Limits(output_tokens=100), clock=clock)
    assert [ask(api, messages=[said("long")], max_tokens=500)[0] for _ in range(2)] == [200, 429]
    clock.now = 60
    assert ask(api)[0] == 200


def test_headers_tell_what_is_left() -> None:
    api = MessagesApi(SCRIPT, limits=Limits(requests=10, input_tokens=5000), clock=Clock())
    headers = api.answer("POST", "/v1/messages", HEADERS, json.dumps(body()).encode()).headers
    assert headers["anthropic-ratelimit-requests-remaining"] == "9"
    assert headers["anthropic-ratelimit-input-tokens-limit"] == "5000"
    assert "anthropic-ratelimit-output-tokens-limit" not in headers


# What the vendor's SDK makes of it.


@pytest.mark.asyncio
async def test_the_sdk_accepts_every_answer_under_its_strict_validation() -> None:
    api = MessagesApi(SCRIPT)
    async with serving(api) as url:
        async with anthropic.AsyncAnthropic(
            api_key=TEST_KEY, base_url=url, max_retries=0, _strict_response_validation=True
        ) as client:
            given: dict[str, Any] = body(messages=[said("work")], tools=[TOOL])
            whole = await client.messages.create(**given)
            async with client.messages.stream(**given) as stream:
                streamed = await stream.get_final_message()
            given.pop("max_tokens")
            counted = await client.messages.count_tokens(**given)
    assert whole.content == streamed.content
    assert whole.usage == streamed.usage
    assert counted.input_tokens == whole.usage.input_tokens
    assert whole.id != streamed.id
    assert whole._request_id


@pytest.mark.asyncio
async def test_the_books_hold_every_answer_once_whole_or_not() -> None:
    api = MessagesApi(SCRIPT, faults=(Fault("truncate", times=2),))
    async with serving(api) as url:
        async with anthropic.AsyncAnthropic(api_key=TEST_KEY, base_url=url, max_retries=0) as client:
            for _ in range(3):
                async with client.messages.stream(**body()) as stream:  # pyright: ignore
                    await stream.get_final_message()
    assert [line.usage.complete for line in api.ledger] == [False, False, True]
    assert len({line.response_id for line in api.ledger}) == 3
    assert total(api.ledger).prompt_tokens == 3 * api.ledger[0].usage.prompt_tokens


def test_as_a_process_it_prints_its_address_and_its_books(tmp_path: Any) -> None:
    script = tmp_path / "script.json"
    script.write_text(SCRIPT.model_dump_json())
    command = [sys.executable, "-m", "worksite.common.testing.messages_api", str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        try:
            assert process.stdout
            url = process.stdout.readline().strip()
            with anthropic.Anthropic(api_key=TEST_KEY, base_url=url, max_retries=0) as client:
                reply = client.messages.create(**body())
            line = json.loads(process.stdout.readline())
            assert line["response_id"] == reply.id
            assert line["usage"]["input_tokens"] == reply.usage.input_tokens
        finally:
            process.terminate()  # SIGINT may be ignored where the tests run in the background
