"""Requests as the API takes them: closed models, so that an unknown field is refused by its name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


class Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CacheControl(Wire):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] = "5m"


class Cacheable(Wire):
    cache_control: CacheControl | None = None


class TextBlock(Cacheable):
    type: Literal["text"]
    text: str = Field(min_length=1)


class ToolUseBlock(Cacheable):
    type: Literal["tool_use"]
    id: Name
    name: Name
    input: dict[str, Any]


class ToolResultBlock(Cacheable):
    type: Literal["tool_result"]
    tool_use_id: Name
    content: str | list[TextBlock] = ""
    is_error: bool = False


class ThinkingBlock(Wire):
    type: Literal["thinking"]
    thinking: str
    signature: str = Field(min_length=1)


class RedactedThinkingBlock(Wire):
    type: Literal["redacted_thinking"]
    data: str = Field(min_length=1)


Block = Annotated[
    TextBlock | ToolUseBlock | ToolResultBlock | ThinkingBlock | RedactedThinkingBlock, Field(discriminator="type")
]


class InputMessage(Wire):
    role: Literal["user", "assistant"]
    content: str | list[Block] = Field(min_length=1)

    @property
    def blocks(self) -> list[Block]:
        if isinstance(self.content, str):
            return [TextBlock(type="text", text=self.content)]
        return self.content


class ToolDefinition(Cacheable):
    name: Name
    description: str = ""
    input_schema: dict[str, Any]
    strict: bool = False
    input_examples: list[dict[str, Any]] | None = None


class ToolChoice(Wire):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class OutputFormat(Wire):
    type: Literal["json_schema"]
    schema_: dict[str, Any] = Field(alias="schema")


class OutputConfig(Wire):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class ThinkingConfig(Wire):
    type: Literal["adaptive", "disabled", "between_tools", "enabled"]
    budget_tokens: int | None = Field(default=None, ge=1024)
    display: Literal["summarized", "omitted"] | None = None


class RequestMetadata(Wire):
    user_id: str | None = None


class Countable(Cacheable):
    """What can be counted without being sent."""

    model: str
    messages: list[InputMessage] = Field(min_length=1)
    system: str | list[TextBlock] | None = None
    tools: list[ToolDefinition] = []
    tool_choice: ToolChoice | None = None
    output_config: OutputConfig | None = None
    thinking: ThinkingConfig | None = None
    thread: dict[str, Any] | None = None

    @property
    def system_blocks(self) -> list[TextBlock]:
        if isinstance(self.system, str):
            return [TextBlock(type="text", text=self.system)]
        return self.system or []


class CreateMessage(Countable):
    max_tokens: int = Field(ge=0)
    stream: bool = False
    stop_sequences: list[str] = []
    metadata: RequestMetadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
