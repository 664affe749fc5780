"""Language models: one port, two adapters, and what keeps their calls affordable and safe to repeat.

Nothing here imports the vendor's SDK but `anthropic_model.py`, which takes the extra `models` of this distribution.
"""

from worksite.common.llm.conversation import (
    Completion,
    ModelRequest,
    Part,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolResult,
    ToolUse,
    Turn,
    assistant,
    user,
)
from worksite.common.llm.outputs import parsed, schema_of
from worksite.common.llm.port import LanguageModel
from worksite.common.llm.pricing import Prices
from worksite.common.llm.scripted import Conversation, Reply, Script, ScriptedModel
from worksite.common.llm.usage import Usage

__all__ = [
    "Completion",
    "Conversation",
    "LanguageModel",
    "ModelRequest",
    "Part",
    "Prices",
    "RedactedThinking",
    "Reply",
    "Script",
    "ScriptedModel",
    "Text",
    "Thinking",
    "Tool",
    "ToolResult",
    "ToolUse",
    "Turn",
    "Usage",
    "assistant",
    "parsed",
    "schema_of",
    "user",
]
