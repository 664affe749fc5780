"""Does an agent still get on? Pure: the same conversation is judged alike when it is replayed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from worksite.common.llm.conversation import ToolResult, ToolUse

NUDGE_AFTER, STUCK_AFTER = 3, 6
"""Turns in a row without anything new."""
IDLE_NUDGE_AFTER, IDLE_STUCK_AFTER = 25, 40
"""Turns in a row without an edit, of an agent whose work is to edit."""
_REPEATING = "You are repeating yourself: these calls had these very results before. Do something else, or finish."
_IDLE = "You have changed nothing for many turns. Make your changes now, or finish and say what keeps you from it."


@dataclass(frozen=True)
class Attention:
    """What was seen so far. `editing`: is anything but an edit only a means?"""

    editing: bool = False
    seen: frozenset[str] = frozenset()
    repeated: int = 0
    idle: int = 0

    def after(self, turn: Iterable[tuple[ToolUse, ToolResult]], edited: bool) -> Attention:
        """One more turn: it brought something new if any use of a tool or its result did."""
        marks = {_mark(use, result) for use, result in turn}
        fresh = not marks <= self.seen
        return Attention(
            self.editing, self.seen | marks, 0 if fresh else self.repeated + 1, 0 if edited else self.idle + 1
        )

    @property
    def stuck(self) -> bool:
        """Nothing more is to be hoped for."""
        return self.repeated >= STUCK_AFTER or (self.editing and self.idle >= IDLE_STUCK_AFTER)

    @property
    def nudge(self) -> str | None:
        """What the agent is told before that."""
        if self.repeated == NUDGE_AFTER:
            return _REPEATING
        return _IDLE if self.editing and self.idle == IDLE_NUDGE_AFTER else None


def _mark(use: ToolUse, result: ToolResult) -> str:
    """Without ids, which are never the same."""
    said = f"{use.name}\0{use.model_dump_json(include={'input'})}\0{result.is_error}\0{result.content}"
    return hashlib.sha256(said.encode()).hexdigest()
