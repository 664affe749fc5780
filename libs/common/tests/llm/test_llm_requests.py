"""Conversations that are none are refused before they are sent anywhere; equal requests are known as equal."""

import pytest
from pydantic import ValidationError
from worksite.common.llm import (
    Completion,
    ModelRequest,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    Usage,
    assistant,
    user,
    wire,
)

TOOL = Tool(name="look", description="", input_schema={"type": "object"})
USE = ToolUse(id="t1", name="look", input={})
USED = Turn(role="assistant", content=(USE,))
RESULT = ToolResult(tool_use_id="t1", content="ok")


def request(*turns, **more):
    given = {"model": "claude-haiku-5-5", "max_tokens": 100, "turns": turns or (user("hello"),)}
    return ModelRequest.model_validate(given | more)


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ((assistant("hello"),), "alternate"),
        ((user("a"), USED), "last turn"),
        ((user("a"), USED, user("b")), "results are for"),
        ((user("a"), USED, Turn(role="user", content=(RESULT, RESULT))), "results are for"),
        ((user("a"), assistant("b"), Turn(role="user", content=(RESULT,))), "results are for"),
        (
            (
                user("a"),
                Turn(role="assistant", content=(USE, USE)),
                Turn(role="user", content=(RESULT, RESULT)),
            ),
            "same id",
        ),
    ],
)
def test_turns_that_are_no_conversation_are_refused(turns, reason):
    with pytest.raises(ValidationError, match=reason):
        request(*turns)


@pytest.mark.parametrize(
    ("role", "content", "reason"),
    [
        ("user", (Text(text=" \n"),), "empty"),
        ("user", (USE,), "no place"),
        ("user", (Thinking(thinking="x", signature="s"),), "no place"),
        ("assistant", (RESULT,), "no place"),
        ("user", (Text(text="first"), RESULT), "before everything else"),
        ("user", (), "at least 1"),
    ],
)
def test_a_turn_that_no_provider_takes_is_refused(role, content, reason):
    with pytest.raises(ValidationError, match=reason):
        Turn(role=role, content=content)


def test_two_tools_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="same name"):
        request(tools=(TOOL, TOOL))


def test_a_choice_among_no_tools_is_refused():
    with pytest.raises(ValidationError, match="needs tools"):
        request(tool_choice="any")


def test_equal_requests_have_one_digest_and_others_another():
    assert request().digest == request().digest
    assert request().digest != request(max_tokens=101).digest


def test_an_empty_text_of_the_model_is_not_sent_back():
    said = Completion(
        id="m", model="x", content=(Text(text=""), USE), stop_reason="tool_use", usage=Usage(input_tokens=1)
    )
    assert said.turn.content == (USE,)


def test_a_gone_on_conversation_is_checked_as_a_new_one():
    with pytest.raises(ValidationError):
        request().then(user("again"))


def marks(body):
    """Where cache marks stand, and for how long."""
    named = [("tools", tool) for tool in body.get("tools", [])] + [("system", s) for s in body.get("system", [])]
    named += [(str(i), block) for i, turn in enumerate(body["messages"]) for block in turn["content"]]
    return [(name, block["cache_control"].get("ttl", "5m")) for name, block in named if "cache_control" in block]


def test_stable_prefixes_are_marked_and_never_more_than_four():
    turns = (user("a"), USED, Turn(role="user", content=(RESULT,)), assistant("b"), user("c"))
    body = wire.body(request(*turns, tools=(TOOL,), system="be brief", cache="1h"))
    assert marks(body) == [("tools", "1h"), ("system", "1h"), ("2", "5m"), ("4", "5m")]


def test_without_caching_nothing_is_marked():
    assert marks(wire.body(request(system="be brief", cache=None))) == []


def test_a_conversation_that_goes_on_repeats_its_prefix_byte_for_byte():
    first = request(system="be brief", tools=(TOOL,), cache=None)
    later = first.then(USED, Turn(role="user", content=(RESULT,)))
    before, after = wire.body(first), wire.body(later)
    assert after["messages"][: len(before["messages"])] == before["messages"]
    assert (after["system"], after["tools"]) == (before["system"], before["tools"])
