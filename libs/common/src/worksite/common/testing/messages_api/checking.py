"""What the API refuses beyond the shape of a request."""

from __future__ import annotations

import json
from typing import TypeVar

from pydantic import ValidationError
from worksite.common.llm import Script, Thinking
from worksite.common.testing.messages_api import models
from worksite.common.testing.messages_api.prompt import prompt_of
from worksite.common.testing.messages_api.refusals import Refusal, invalid
from worksite.common.testing.messages_api.requests import (
    Block,
    Cacheable,
    Countable,
    CreateMessage,
    InputMessage,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from worksite.common.testing.messages_api.schemas import check_schemas

STRICT_VERSION = "2026-10-21"
MAX_BREAKPOINTS = 4
C = TypeVar("C", bound=Countable)


def read(body: bytes, shape: type[C]) -> C:
    """The request in its shape. Raises Refusal naming a field that is wrong."""
    try:
        json.loads(body)
    except ValueError:
        raise invalid("The request body is not valid JSON") from None
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        deepest = max(
            error.errors(include_input=False), key=lambda e: len(e["loc"])
        )  # of a union, the one that was meant
        raise invalid(f"{'.'.join(map(str, deepest['loc']))}: {deepest['msg']}") from None


def check(request: Countable, script: Script, version: str) -> None:
    """Everything that needs more than one field to be seen. Raises Refusal."""
    if request.model not in models.known():
        raise Refusal(404, f"model: {request.model}")
    if request.thread is not None:
        raise Refusal(400, "thread: not supported here", code="thread_unsupported_request")
    _check_breakpoints(request)
    _check_roles(request, script)
    _check_tools(request)
    _check_thinking(request, script)
    check_schemas(request)
    if isinstance(request, CreateMessage):
        _check_sizes(request)
        _check_sampling(request, version)


def _check_breakpoints(request: Countable) -> None:
    blocks = prompt_of(request)
    controls = [block.control for block in blocks if block.control]
    if len(controls) > MAX_BREAKPOINTS:
        raise invalid(
            f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {len(controls)}."
        )
    ttls = [control.ttl for control in controls]
    if ttls != sorted(ttls):  # "1h" sorts before "5m"
        raise invalid("a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block")
    for message in request.messages:
        for block in message.blocks:
            if isinstance(block, Cacheable) and block.cache_control and not (getattr(block, "text", "x")).strip():
                raise invalid("cache_control cannot be set for empty text blocks")


def _check_roles(request: Countable, script: Script) -> None:
    for index, message in enumerate(request.messages):
        if message.role != ("user", "assistant")[index % 2]:
            raise invalid(f"messages.{index}: roles must alternate, beginning with user")
        _check_blocks(index, message)
    last = request.messages[-1]
    if last.role == "assistant" and not models.rules(request.model).prefill and not _was_paused(last, script):
        raise invalid("This model does not support assistant message prefill: the last message must be the user's.")


def _was_paused(message: InputMessage, script: Script) -> bool:
    said = [block.model_dump(exclude={"cache_control"}) for block in message.blocks]
    paused = (r for c in script.conversations for r in c.replies if r.stop_reason == "pause_turn")
    return any([part.model_dump() for part in reply.content] == said for reply in paused)


def _check_blocks(index: int, message: InputMessage) -> None:
    for block in message.blocks:
        if block.type == "text" and not block.text.strip():
            raise invalid(f"messages.{index}: text content blocks must contain non-whitespace text")
        of_user = isinstance(block, ToolResultBlock)
        of_assistant = isinstance(block, ToolUseBlock) or block.type in {"thinking", "redacted_thinking"}
        if (of_user and message.role != "user") or (of_assistant and message.role != "assistant"):
            raise invalid(f"messages.{index}: `{block.type}` blocks are not allowed in {message.role} messages")


def _check_tools(request: Countable) -> None:
    names = [tool.name for tool in request.tools]
    if len(set(names)) < len(names):
        raise invalid("tools: Tool names must be unique.")
    if request.tool_choice:
        _check_tool_choice(request, names)
    before: list[Block] = []
    for index, message in enumerate(request.messages):
        _check_pairing(index, before, message.blocks)
        before = message.blocks


def _check_tool_choice(request: Countable, names: list[str]) -> None:
    choice = request.tool_choice
    assert choice
    if not names:
        raise invalid("tool_choice may only be specified while providing tools")
    if choice.type in {"any", "tool"} and not models.rules(request.model).forced_tools:
        raise invalid(f"tool_choice: `{choice.type}` is not supported by {request.model}")
    if (choice.type == "tool") != (choice.name is not None) or (choice.name and choice.name not in names):
        raise invalid(f"tool_choice: Tool '{choice.name}' not found in provided tools")


def _check_pairing(index: int, before: list[Block], now: list[Block]) -> None:
    """Every use answered at once and once, and nothing else answered."""
    asked = [block.id for block in before if isinstance(block, ToolUseBlock)]
    answered = [block.tool_use_id for block in now if isinstance(block, ToolResultBlock)]
    if len(set(asked)) < len(asked):
        raise invalid(f"messages.{index - 1}: `tool_use` ids must be unique")
    if missing := [use for use in asked if use not in answered]:
        raise invalid(
            f"messages.{index}: `tool_use` ids were found without `tool_result` blocks immediately after: {missing}"
        )
    if orphans := [use for use in answered if use not in asked]:
        raise invalid(f"messages.{index}: unexpected `tool_use_id` found in `tool_result` blocks: {orphans}")
    if len(answered) > len(asked):
        raise invalid(f"messages.{index}: each tool_use must have a single result")
    if answered and [isinstance(block, ToolResultBlock) for block in now[: len(answered)]].count(False):
        raise invalid(f"messages.{index}: tool_result blocks must come first in their message")


def _check_thinking(request: Countable, script: Script) -> None:
    _check_thinking_mode(request)
    signed = {(part.signature, part.thinking) for part in _said(script) if isinstance(part, Thinking)}
    for index, message in enumerate(request.messages):
        for block in message.blocks:
            if isinstance(block, ThinkingBlock) and (block.signature, block.thinking) not in signed:
                raise invalid(f"messages.{index}: Invalid `signature` in `thinking` block")


def _check_thinking_mode(request: Countable) -> None:
    mode, rules = request.thinking, models.rules(request.model)
    if mode is None:
        return
    if mode.type not in rules.thinking:
        raise invalid(f"thinking.type: `{mode.type}` is not supported by {request.model}")
    effort = (request.output_config and request.output_config.effort) or rules.default_effort
    if mode.type == "disabled" and effort not in rules.thinking_off_up_to:
        raise invalid(f"thinking cannot be disabled at effort `{effort}`")
    if (mode.type == "enabled") != (mode.budget_tokens is not None):
        raise invalid("thinking.budget_tokens: goes with `enabled`, and only with it")
    if isinstance(request, CreateMessage) and (mode.budget_tokens or 0) >= max(request.max_tokens, 1):
        raise invalid("`max_tokens` must be greater than `thinking.budget_tokens`")


def _said(script: Script) -> list[object]:
    return [part for c in script.conversations for reply in c.replies for part in reply.content]


def _check_sizes(request: CreateMessage) -> None:
    row = models.known()[request.model]
    if request.max_tokens > row.max_output_tokens:
        raise invalid(f"max_tokens: {request.max_tokens} > {row.max_output_tokens}, the most that {row.model} puts out")
    prompt = sum(block.tokens for block in prompt_of(request))
    if prompt + request.max_tokens > row.context_tokens:
        raise invalid(f"prompt is too long: {prompt} tokens + {request.max_tokens} > {row.context_tokens} maximum")


def _check_sampling(request: CreateMessage, version: str) -> None:
    given = [name for name in ("temperature", "top_p", "top_k") if getattr(request, name) is not None]
    if given and version >= STRICT_VERSION:
        raise invalid(f"{given[0]}: not supported in anthropic-version {version}")
