"""What is said to a model and what it says, in our words. Parts are written as the Messages API writes them."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, StringConstraints, TypeAdapter, model_validator
from worksite.common.llm.errors import ModelRequestRefused
from worksite.common.llm.surrogates import holds_half
from worksite.common.llm.usage import Usage
from worksite.common.messages.base import Model

JsonObject = dict[str, JsonValue]
Role = Literal["user", "assistant"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]
ThinkingMode = Literal["adaptive", "disabled", "between_tools"]
CacheLifetime = Literal["5m", "1h"]
StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"
]
ToolName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]


class Text(Model):
    type: Literal["text"] = "text"
    text: str


class Thinking(Model):
    """Goes back unchanged; its text may be empty and only its signature set."""

    type: Literal["thinking"] = "thinking"
    thinking: str
    signature: str


class RedactedThinking(Model):
    """Thinking that only the provider can read; goes back unchanged."""

    type: Literal["redacted_thinking"] = "redacted_thinking"
    data: str


class ToolUse(Model):
    """The model wants a tool run."""

    type: Literal["tool_use"] = "tool_use"
    id: str
    name: str
    input: JsonObject


class ToolResult(Model):
    """What came of it."""

    type: Literal["tool_result"] = "tool_result"
    tool_use_id: str
    content: str
    is_error: bool = False


Part = Annotated[Text | Thinking | RedactedThinking | ToolUse | ToolResult, Field(discriminator="type")]
Parts: TypeAdapter[tuple[Part, ...]] = TypeAdapter(tuple[Part, ...])
_ANSWERED_BY: dict[Role, tuple[type[Model], ...]] = {
    "user": (Text, ToolResult),
    "assistant": (Text, Thinking, RedactedThinking, ToolUse),
}


class Turn(Model):
    """One side's part of the conversation."""

    role: Role
    content: tuple[Part, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for part in self.content:
            if not isinstance(part, _ANSWERED_BY[self.role]):
                raise ValueError(f"{part.type} has no place in a turn of the {self.role}")
            if isinstance(part, Text) and not part.text.strip():
                raise ValueError("a text must not be empty")
        kinds = [isinstance(part, ToolResult) for part in self.content]
        if kinds != sorted(kinds, reverse=True):
            raise ValueError("results of tools come before everything else in their turn")
        return self


def user(text: str) -> Turn:
    """A turn of one text."""
    return Turn(role="user", content=(Text(text=text),))


def assistant(text: str) -> Turn:
    """A turn of one text."""
    return Turn(role="assistant", content=(Text(text=text),))


class Tool(Model):
    """A tool that the model may ask for."""

    name: ToolName
    description: str
    input_schema: JsonObject
    strict: bool = False


class ModelRequest(Model):
    """One call, whole. What is not valid here would be refused by the provider, so no adapter ever sees it."""

    model: str = Field(min_length=1)
    max_tokens: int = Field(ge=1, description="of output, thinking included")
    turns: tuple[Turn, ...] = Field(min_length=1)
    system: str = ""
    tools: tuple[Tool, ...] = ()
    tool_choice: Literal["auto", "any", "none"] = "auto"
    output: JsonObject | None = Field(default=None, description="JSON Schema that the reply's text must fit")
    effort: Effort | None = None
    thinking: ThinkingMode | None = None
    cache: CacheLifetime | None = Field(
        default="5m", description="how long tools and system prompt stay cached; turns are cached for 5 minutes"
    )

    @model_validator(mode="after")
    def _is_a_conversation(self) -> Self:
        names = [tool.name for tool in self.tools]
        if len(set(names)) < len(names):
            raise ValueError("two tools have the same name")
        if self.tool_choice != "auto" and not self.tools:
            raise ValueError("a choice of tools needs tools")
        for index, turn in enumerate(self.turns):
            if turn.role != ("user", "assistant")[index % 2]:
                raise ValueError("turns alternate, and the user's comes first")
        if self.turns[-1].role != "user" and not self.resumes:
            raise ValueError("the last turn is the user's; only a paused one may be the model's")
        _check_tool_results(self.turns)
        return self

    @property
    def resumes(self) -> bool:
        """Is this a reply that the model paused, sent back for it to go on?"""
        return len(self.turns) > 1 and self.turns[-1].role == "assistant" and not _asked(self.turns[-1])

    def canonical(self) -> bytes:
        """The same for equal requests, in every process."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode()

    def check_sendable(self) -> None:
        """Raises ModelRequestRefused for what cannot be written as UTF-8; every adapter asks first."""
        if holds_half(json.dumps(self.model_dump(mode="json"), ensure_ascii=False)):
            raise ModelRequestRefused(None, "not_unicode", "it holds halves of surrogate pairs, which are no text")

    @property
    def digest(self) -> str:
        """SHA-256 of the request, by which a journal knows it again."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def within(self, max_output_tokens: int) -> ModelRequest:
        """The same, asking for no more output than the model can give: providers refuse what asks for more."""
        return self.model_copy(update={"max_tokens": min(self.max_tokens, max_output_tokens)})

    def then(self, *turns: Turn) -> ModelRequest:
        """The conversation, gone on."""
        return ModelRequest.model_validate(dict(self) | {"turns": (*self.turns, *turns)})


class Completion(Model):
    """A whole reply. `id` is the provider's, by which it is billed once."""

    id: str = Field(min_length=1)
    model: str
    content: tuple[Part, ...]
    stop_reason: StopReason
    usage: Usage
    refusal: str | None = Field(default=None, description="the provider's category of a refusal, where it names one")
    request_id: str | None = None
    garbled: bool = Field(
        default=False, description="U+FFFD stands for halves of characters, {} for an input that cannot be read"
    )

    @property
    def text(self) -> str:
        """All that was said, without what was thought."""
        return "".join(part.text for part in self.content if isinstance(part, Text))

    @property
    def tool_uses(self) -> tuple[ToolUse, ...]:
        """What is to be run: nothing unless the model stopped for it, because an input that was cut off is no input."""
        if self.stop_reason != "tool_use":
            return ()
        return tuple(part for part in self.content if isinstance(part, ToolUse))

    @property
    def turn(self) -> Turn:
        """As it goes back with the next request. Raises ValidationError for a reply without content."""
        return Turn(role="assistant", content=tuple(part for part in self.content if not _blank(part)))


def _blank(part: Part) -> bool:
    """An empty text is what models may send and what providers refuse to take back."""
    return isinstance(part, Text) and not part.text.strip()


def _asked(turn: Turn) -> list[str]:
    return [part.id for part in turn.content if isinstance(part, ToolUse)]


def _check_tool_results(turns: tuple[Turn, ...]) -> None:
    """Every use of a tool is answered in the turn after it, once, and nothing else is."""
    for before, turn in zip((None, *turns), turns, strict=False):
        asked = _asked(before) if before else []
        answered = [part.tool_use_id for part in turn.content if isinstance(part, ToolResult)]
        if sorted(asked) != sorted(answered):
            raise ValueError(f"tools were asked for as {asked}, but results are for {answered}")
        if len(set(asked)) < len(asked):
            raise ValueError("two uses of tools have the same id")
