"""A reply of the script as a message of the API: checked, cut to its limit, counted, and told as events."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jsonschema
from worksite.common.llm import Reply, Text, ToolUse
from worksite.common.llm.scripted import ScriptExhausted
from worksite.common.testing.messages_api.prompt import BYTES_PER_TOKEN, tokens
from worksite.common.testing.messages_api.requests import CreateMessage

Json = dict[str, Any]
_PIECE = 24
"""Characters of one delta."""


@dataclass(frozen=True)
class Spoken:
    """A block of a reply. `written`: the text of it that deltas carry, perhaps cut."""

    block: Json
    written: str

    @property
    def tokens(self) -> int:
        return tokens(self.written.encode())


@dataclass(frozen=True)
class Message:
    """A whole reply, before it is known how it is sent."""

    id: str
    model: str
    spoken: tuple[Spoken, ...]
    stop_reason: str
    refusal: str | None
    prompt_usage: Json

    @property
    def output_tokens(self) -> int:
        return max(1, sum(spoken.tokens for spoken in self.spoken))

    def usage(self, output_tokens: int) -> Json:
        thinking = sum(spoken.tokens for spoken in self.spoken if spoken.block["type"] == "thinking")
        details = {"thinking_tokens": min(thinking, output_tokens)}
        return self.prompt_usage | {"output_tokens": output_tokens, "output_tokens_details": details}

    def head(self) -> Json:
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self.usage(1),
        }

    def tail(self) -> Json:
        details = {"type": "refusal", "category": self.refusal, "explanation": None} if self.refusal else None
        return {"stop_reason": self.stop_reason, "stop_sequence": None, "stop_details": details}

    def whole(self) -> Json:
        """As one JSON document."""
        content = [_whole(spoken) for spoken in self.spoken]
        return self.head() | self.tail() | {"content": content, "usage": self.usage(self.output_tokens)}


def message(reply: Reply, request: CreateMessage, response_id: str, prompt_usage: Json, checked: bool) -> Message:
    """Raises ScriptExhausted where the script says what the request does not allow."""
    if checked:
        _check(reply, request)
    spoken, cut = _cut(reply, request.max_tokens)
    stop = "max_tokens" if cut else reply.stop_reason
    return Message(response_id, request.model, tuple(spoken), stop, reply.refusal, prompt_usage)


def _check(reply: Reply, request: CreateMessage) -> None:
    tools = {tool.name: tool for tool in request.tools}
    for part in reply.content:
        if isinstance(part, ToolUse):
            if part.name not in tools or (request.tool_choice and request.tool_choice.type == "none"):
                raise ScriptExhausted(f"the script uses the tool {part.name!r}, which the request does not offer")
            if tools[part.name].strict:
                _fits(part.input, tools[part.name].input_schema)
    format_ = request.output_config.format if request.output_config else None
    if format_ and reply.stop_reason == "end_turn":
        text = "".join(part.text for part in reply.content if isinstance(part, Text))
        try:
            _fits(json.loads(text), format_.schema_)
        except ValueError as error:
            raise ScriptExhausted(f"the script's reply is not JSON, and the request asks for it: {error}") from error


def _fits(value: object, schema: Json) -> None:
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        raise ScriptExhausted(f"the script's reply does not fit the requested schema: {error.message}") from error


def _cut(reply: Reply, max_tokens: int) -> tuple[list[Spoken], bool]:
    spoken: list[Spoken] = []
    left = max_tokens
    for part in reply.content:
        block = part.model_dump(mode="json")
        written = (
            json.dumps(block["input"]) if isinstance(part, ToolUse) else block.get("text", block.get("thinking", ""))
        )
        if tokens(written.encode()) > left:
            kept = written.encode()[: left * BYTES_PER_TOKEN].decode(errors="ignore")
            return ([*spoken, Spoken(block, kept)] if kept else spoken), True
        spoken.append(Spoken(block, written))
        left -= spoken[-1].tokens
    return spoken, False


def _whole(spoken: Spoken) -> Json:
    """An input that was cut has no JSON to show."""
    block = spoken.block
    if block["type"] == "tool_use":
        full = spoken.written == json.dumps(block["input"])
        return block | {"input": block["input"] if full else {}}
    return block | {block["type"]: spoken.written} if block["type"] in {"text", "thinking"} else block


def events(told: Message) -> Iterator[tuple[Json, int]]:
    """Each event of the stream, with the output tokens that have been generated when it is sent."""
    output = 0
    yield {"type": "message_start", "message": told.head()}, 1
    yield {"type": "ping"}, 1
    for index, spoken in enumerate(told.spoken):
        for event, characters in _block_events(index, spoken):
            yield event, max(1, output + tokens(spoken.written[:characters].encode()))
        output += spoken.tokens
    usage = told.usage(told.output_tokens)
    del usage["cache_creation"], usage["service_tier"], usage["inference_geo"]  # only the start tells these
    yield {"type": "message_delta", "delta": told.tail(), "usage": usage}, told.output_tokens
    yield {"type": "message_stop"}, told.output_tokens


def _block_events(index: int, spoken: Spoken) -> Iterator[tuple[Json, int]]:
    """Each with how many characters of the block have been written."""
    block, written = spoken.block, spoken.written
    empty: Json = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    opened = block | empty.get(block["type"], {})
    yield {"type": "content_block_start", "index": index, "content_block": opened}, 0
    for start, delta in _deltas(block["type"], written):
        yield {"type": "content_block_delta", "index": index, "delta": delta}, start
    if block["type"] == "thinking":
        signature = {"type": "signature_delta", "signature": block["signature"]}
        yield {"type": "content_block_delta", "index": index, "delta": signature}, len(written)
    yield {"type": "content_block_stop", "index": index}, len(written)


def _deltas(kind: str, written: str) -> Iterator[tuple[int, Json]]:
    name = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}.get(kind)
    if kind == "tool_use":
        name = ("input_json_delta", "partial_json")
        yield 0, {"type": name[0], name[1]: ""}
    if name is None:
        return
    for start in range(0, len(written), _PIECE):
        piece = written[start : start + _PIECE]
        yield start + len(piece), {"type": name[0], name[1]: piece}
