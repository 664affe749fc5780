"""How an answer goes over the wire, down to where it breaks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from worksite.common.testing.messages_api.faults import Fault
from worksite.common.testing.messages_api.replies import Json, Message, events

SSE = "text/event-stream; charset=utf-8"
JSON = "application/json"
Ending = Literal["end", "stall", "reset", "close", "silent"]


@dataclass(frozen=True)
class Answer:
    """`chunks` are sent as they are, a pause before each; then comes the ending. `silent`: not even a status.

    `generated`: output tokens that were generated up to the ending.
    """

    status: int
    chunks: tuple[bytes, ...]
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    ending: Ending = "end"
    pause_seconds: float = 0.0
    generated: int = 0
    complete: bool = True


def whole(told: Message, headers: Mapping[str, str]) -> Answer:
    """In one document."""
    return Answer(200, (json.dumps(told.whole()).encode(),), headers=headers, generated=told.output_tokens)


def streamed(told: Message, headers: Mapping[str, str], fault: Fault | None) -> Answer:
    """As events, up to the fault."""
    every = [(_frame(event), output) for event, output in events(told)]
    frames, outputs = [frame for frame, _ in every], [output for _, output in every]
    if fault is None or fault.kind in {"slow", "bad_output"}:
        pause = fault.pause_seconds if fault else 0.0
        return Answer(200, tuple(frames), SSE, headers, pause_seconds=pause, generated=outputs[-1])
    if fault.kind in {"not_a_stream", "not_json"}:
        body = json.dumps(told.whole()).encode() if fault.kind == "not_a_stream" else b"<html>bad gateway</html>"
        return Answer(200, (body,), JSON, headers, generated=outputs[-1])
    if fault.kind == "silent":
        return Answer(200, (), SSE, headers, "silent", complete=False)
    sent = min(fault.after_events, len(frames) - 1)
    broken, ending = _broken(fault, frames[sent])
    generated = outputs[sent - 1] if sent else 0
    return Answer(200, (*frames[:sent], *broken), SSE, headers, ending, generated=generated, complete=False)


def _broken(fault: Fault, following: bytes) -> tuple[tuple[bytes, ...], Ending]:
    error = {"type": "error", "error": {"type": fault.error_type, "message": "it broke here"}}
    odd = {"type": "content_block_delta", "index": 7, "delta": {"type": "text_delta", "text": "?"}}
    endings: dict[str, tuple[tuple[bytes, ...], Ending]] = {
        "stall": ((), "stall"),
        "truncate": ((), "end"),
        "reset": ((), "reset"),
        "half_frame": ((following[: len(following) // 2],), "close"),
        "error_event": ((_frame(error),), "end"),
        "garbage": ((b"event: content_block_delta\ndata: {not json\n\n",), "end"),
        "unopened": ((_frame(odd),), "end"),
    }
    return endings[fault.kind]


def _frame(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
