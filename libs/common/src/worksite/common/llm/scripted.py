"""A model that says what a script tells it to: for tests, recordings and the local server.

A script is looked up by what a request holds (how its conversation opened, how many replies it has had), never by the
order of calls, so that retries, replays and calls at the same time all get the reply that is theirs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import Field
from worksite.common.errors import WorksiteError
from worksite.common.llm.conversation import Completion, ModelRequest, Part, Parts, StopReason, Text, ToolUse, Turn
from worksite.common.llm.port import Heard
from worksite.common.llm.surrogates import whole
from worksite.common.llm.usage import Usage
from worksite.common.messages.base import Model

_BYTES_PER_TOKEN = 4


class ScriptExhausted(AssertionError):
    """Something was asked that the script has no reply to: the test or the code under test is wrong."""


class Reply(Model):
    """One reply of the script."""

    content: tuple[Part, ...]
    stops: StopReason | None = Field(default=None, description="none: as its content says")
    refusal: str | None = None

    @property
    def stop_reason(self) -> StopReason:
        """Why it stops."""
        return self.stops or ("tool_use" if any(isinstance(part, ToolUse) for part in self.content) else "end_turn")

    @classmethod
    def saying(cls, text: str) -> Reply:
        """Of one text."""
        return cls(content=(Text(text=text),))


class Conversation(Model):
    """The replies to one conversation, in order. `opening` is found in the text of its first turn."""

    opening: str
    replies: tuple[Reply, ...]


class Script(Model):
    """All that will be said."""

    conversations: tuple[Conversation, ...]

    def reply_to(self, opening: str, replies_before: int) -> Reply:
        """Raises ScriptExhausted, also where two conversations fit."""
        fitting = [conversation for conversation in self.conversations if conversation.opening in opening]
        if len(fitting) != 1:
            raise ScriptExhausted(f"{len(fitting)} conversations of the script open with {opening[:80]!r}")
        if replies_before >= len(fitting[0].replies):
            raise ScriptExhausted(f"the script's {fitting[0].opening!r} has no reply number {replies_before + 1}")
        return fitting[0].replies[replies_before]


class ScriptedModel:
    """The adapter. `troubles` are raised first, one a call, as a provider's bad moments would be."""

    def __init__(self, script: Script, troubles: Sequence[WorksiteError] = ()) -> None:
        self._script = script
        self._troubles = list(troubles)
        self.requests: list[ModelRequest] = []

    async def reply(self, request: ModelRequest, heard: Heard | None = None) -> Completion:
        """Raises ScriptExhausted beside what the port allows."""
        self.requests.append(request)
        if self._troubles:
            raise self._troubles.pop(0)
        request.check_sendable()
        told = self._script.reply_to(opening(request.turns), sum(turn.role == "assistant" for turn in request.turns))
        for part in told.content:
            if heard and isinstance(part, Text):
                heard(part.text)
        plain, garbled = whole([part.model_dump(mode="json") for part in told.content])
        content = Parts.validate_python(plain)
        return Completion(
            id=f"msg_{hashlib.sha256(f'{request.digest}{len(self.requests)}'.encode()).hexdigest()[:24]}",
            model=request.model,
            content=content,
            stop_reason=told.stop_reason,
            refusal=told.refusal,
            usage=Usage(input_tokens=await self.count_tokens(request), output_tokens=_tokens(Parts.dump_json(content))),
            garbled=garbled,
        )

    async def count_tokens(self, request: ModelRequest) -> int:
        """One for four bytes."""
        request.check_sendable()
        return _tokens(request.canonical())

    async def close(self) -> None:
        """Nothing is open."""


def opening(turns: tuple[Turn, ...]) -> str:
    """All text of the first turn."""
    return "\n".join(part.text for part in turns[0].content if isinstance(part, Text))


def _tokens(written: bytes) -> int:
    return -(-len(written) // _BYTES_PER_TOKEN)
