"""The port: what every language model can do for us."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from worksite.common.llm.conversation import Completion, ModelRequest

Heard = Callable[[str], None]
"""Is told each piece of text as it comes; a reply that breaks off may have been heard in part."""


class LanguageModel(Protocol):
    """Calls a model once. Whoever calls decides about trying again, because every try may cost."""

    async def reply(self, request: ModelRequest, heard: Heard | None = None) -> Completion:
        """One try, within the adapter's deadline. Raises ModelUnavailable, ModelRequestRefused."""
        ...

    async def count_tokens(self, request: ModelRequest) -> int:
        """Of the prompt, as the provider estimates it; bills are by `Completion.usage`. Raises as `reply` does."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
