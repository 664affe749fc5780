"""A request as the Messages API takes it, with cache marks where prefixes stay the same."""

from __future__ import annotations

from typing import Any

from worksite.common.llm.conversation import ModelRequest, Role, Turn

Wire = dict[str, Any]


def body(request: ModelRequest) -> Wire:
    """Without what only a call for a reply has. At most four marks: end of tools, of the system prompt, of the user's
    turn before the last, and of the last.

    The turn before is marked again because a provider looks back only some 20 blocks from each mark for what it has
    cached, and one turn of a tool loop may hold more.
    """
    wire: Wire = {"model": request.model, "messages": [_turn(turn) for turn in request.turns]}
    if request.tools:
        wire["tools"] = [_present(tool.model_dump(mode="json"), "strict") for tool in request.tools]
        wire["tool_choice"] = {"type": request.tool_choice}
    if request.system:
        wire["system"] = [{"type": "text", "text": request.system}]
    if config := _output_config(request):
        wire["output_config"] = config
    if request.thinking:
        wire["thinking"] = {"type": request.thinking}
    if request.cache:
        _mark(wire, request.cache)
    return wire


def _turn(turn: Turn) -> Wire:
    return {"role": turn.role, "content": [_present(part.model_dump(mode="json"), "is_error") for part in turn.content]}


def _present(part: Wire, flag: str) -> Wire:
    """A flag that is not set is left out: equal prefixes have to be equal bytes, with every version of ours."""
    return {name: value for name, value in part.items() if name != flag or value}


def _output_config(request: ModelRequest) -> Wire:
    config: Wire = {"effort": request.effort} if request.effort else {}
    if request.output is not None:
        config["format"] = {"type": "json_schema", "schema": request.output}
    return config


def _mark(wire: Wire, lifetime: str) -> None:
    for prefix in ("tools", "system"):
        if prefix in wire:
            wire[prefix][-1]["cache_control"] = _control(lifetime)
    asked: Role = "user"
    for turn in [turn for turn in wire["messages"] if turn["role"] == asked][-2:]:
        turn["content"][-1]["cache_control"] = _control("5m")


def _control(lifetime: str) -> Wire:
    return {"type": "ephemeral"} if lifetime == "5m" else {"type": "ephemeral", "ttl": lifetime}
