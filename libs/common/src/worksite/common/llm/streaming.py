"""A streamed reply, put together event by event.

The SDK's own accumulator takes a stream that ends too soon for a whole reply, parses a tool's input anew with every
piece of it, and loses its place with a piece of a block that was never opened. This one takes nothing for whole that
did not say it was.
"""

from __future__ import annotations

import json
from typing import Any, cast

from worksite.common.llm.conversation import Completion, Part, Parts
from worksite.common.llm.errors import ModelUnavailable
from worksite.common.llm.port import Heard
from worksite.common.llm.surrogates import whole
from worksite.common.llm.usage import Usage

Event = dict[str, Any]
_MAX_DEPTH = 100
"""Of a tool's input: pydantic, by which the journal is read, follows 200 levels."""
_GROWS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}
_FIELDS = {
    "text": ("text",),
    "thinking": ("thinking", "signature"),
    "redacted_thinking": ("data",),
    "tool_use": ("id", "name", "input"),
}


class StreamedReply:
    """Feed it with `take`; `completion` is what came of it."""

    def __init__(self, heard: Heard | None = None) -> None:
        self._heard = heard
        self._message: Event = {}
        self._blocks: list[Event] = []
        self._inputs: dict[int, str] = {}
        self._closed = set[int]()
        self._usage: Event = {}
        self._stop: Event = {}
        self._ended = False

    @property
    def response_id(self) -> str | None:
        """The provider's, once it has begun."""
        return self._message.get("id")

    def take(self, event: Event) -> None:
        """Raises ModelUnavailable for an event that cannot be where it is."""
        try:
            self._take(event)
        except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
            raise self.trouble("malformed", f"an event does not fit into the stream ({type(error).__name__})") from None

    def _take(self, event: Event) -> None:
        kind = event["type"]
        if kind == "message_start":
            self._message, _ = whole(event["message"])
            self._usage = dict(self._message["usage"])
        elif not self._message:
            raise ValueError("nothing has begun")
        elif kind == "content_block_start":
            self._open(event["index"], event["content_block"])
        elif kind == "content_block_delta":
            self._grow(event["index"], event["delta"])
        elif kind == "content_block_stop":
            self._close(event["index"])
        elif kind == "message_delta":
            self._stop, _ = whole(event["delta"])
            usage, _ = whole(event["usage"])
            self._usage |= {name: value for name, value in usage.items() if value is not None}
        elif kind == "message_stop":
            self._ended = True

    def _open(self, index: int, block: Event) -> None:
        if index != len(self._blocks):
            raise ValueError(f"block {index} opens where {len(self._blocks)} has its turn")
        self._blocks.append({"type": block["type"]} | {name: block[name] for name in _FIELDS[block["type"]]})

    def _grow(self, index: int, delta: Event) -> None:
        if index in self._closed:
            raise ValueError(f"block {index} is closed")
        block = self._blocks[index]
        if delta["type"] == "input_json_delta":
            self._inputs[index] = self._inputs.get(index, "") + delta["partial_json"]
        elif name := _GROWS.get(delta["type"]):
            block[name] += delta[name]
            if name == "text" and self._heard:
                self._heard(delta["text"])

    def _close(self, index: int) -> None:
        block = self._blocks[index]
        self._closed.add(index)
        if written := self._inputs.get(index):
            block["input"] = written  # parsed when it is known whether the reply was cut off

    def trouble(self, kind: Any, detail: str, retry_after_seconds: float | None = None) -> ModelUnavailable:
        """The same trouble, with what the broken reply will cost as far as it is known."""
        usage = _usage(self._usage, complete=False) if self._usage else None
        return ModelUnavailable(
            kind, detail, retry_after_seconds=retry_after_seconds, response_id=self.response_id, usage=usage
        )

    def completion(self, request_id: str | None) -> Completion:
        """Raises ModelUnavailable for a stream that ended before its reply did, or made no sense."""
        if not self._message:
            raise self.trouble("malformed", "the answer is no stream of events")
        if not self._ended or not self._stop.get("stop_reason") or len(self._closed) < len(self._blocks):
            raise self.trouble("broken_stream", "the stream ended before the reply did")
        try:
            content, garbled = self._content()
            return Completion(
                id=self._message["id"],
                model=self._message["model"],
                content=content,
                stop_reason=self._stop["stop_reason"],
                refusal=_within(self._stop, "stop_details").get("category"),
                usage=_usage(self._usage, complete=True),
                request_id=request_id,
                garbled=garbled,
            )
        except (KeyError, ValueError, RecursionError) as error:  # of pydantic too; its text would repeat the reply
            raise self.trouble("malformed", f"the reply cannot be read ({type(error).__name__})") from None

    def _content(self) -> tuple[tuple[Part, ...], bool]:
        """And is there anything in it that cannot be used as it stands? A cut-off input is told by the stop reason."""
        inputs = {n: _read_input(block["input"]) for n, block in enumerate(self._blocks) if "input" in block}
        read = [block | ({"input": inputs[n] or {}} if n in inputs else {}) for n, block in enumerate(self._blocks)]
        told, halves = whole(read)
        unread = self._stop["stop_reason"] == "tool_use" and None in inputs.values()
        return Parts.validate_python(told), halves or unread


def _read_input(written: object) -> Event | None:
    """None for what is no object that a journal could hold and give back."""
    try:
        given: object = json.loads(written) if isinstance(written, str) else written
        return cast(Event, given) if isinstance(given, dict) and _depth(cast(Event, given)) <= _MAX_DEPTH else None
    except (ValueError, RecursionError):
        return None


def _depth(value: object) -> int:
    inner: list[object] = []
    if isinstance(value, dict):
        inner = list(cast(dict[str, object], value).values())
    elif isinstance(value, list):
        inner = cast(list[object], value)
    return 1 + max(map(_depth, inner), default=0)


def _usage(told: Event, complete: bool) -> Usage:
    """By the provider's names. What a server leaves out is none; a sum without its parts counts as 5 minutes."""
    split = told.get("cache_creation")
    written = told.get("cache_creation_input_tokens") or 0
    one_hour = split["ephemeral_1h_input_tokens"] if split else 0
    return Usage(
        input_tokens=told.get("input_tokens") or 0,
        cache_read_tokens=told.get("cache_read_input_tokens") or 0,
        cache_write_5m_tokens=written - one_hour,
        cache_write_1h_tokens=one_hour,
        output_tokens=told.get("output_tokens") or 0,
        thinking_tokens=_within(told, "output_tokens_details").get("thinking_tokens") or 0,
        tier=told.get("service_tier") or "standard",
        geo=told.get("inference_geo"),
        complete=complete,
        cache_split_known=split is not None or not written,
    )


def _within(told: Event, name: str) -> Event:
    return told.get(name) or {}
