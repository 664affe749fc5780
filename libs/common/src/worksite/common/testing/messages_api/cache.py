"""The prompt cache: real prefixes, real lifetimes, and its own account of them.

An entry is a prefix that ended at a mark once. A mark finds the longest entry among the LOOKBACK positions that end at
it. With A the longest prefix found, B the last mark of one hour after A and C the last mark: A is read, A to B is
written for an hour, B to C for five minutes, the rest is plain input.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from worksite.common.testing.messages_api.prompt import PromptBlock

LOOKBACK = 20
LIFETIMES = {"5m": 300.0, "1h": 3600.0}


@dataclass(frozen=True)
class Outcome:
    """How a prompt is charged, and what the cache holds once the reply has begun."""

    input_tokens: int
    read: int
    write_5m: int
    write_1h: int
    refreshed: str | None
    entries: tuple[tuple[str, str], ...]
    """Digest of a prefix and its lifetime."""


class PromptCache:
    """Of all workspaces and models; both are part of every prefix."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[str, float]] = {}

    def look(self, scope: Sequence[str], blocks: list[PromptBlock], least: int, now: float) -> Outcome:
        """Changes nothing: an entry is there for others only when its reply has begun (`keep`).

        `scope`: what makes prefixes incomparable, first for all blocks, then for those of messages.
        """
        digests = _digests(scope, blocks)
        ends = [0]
        for block in blocks:
            ends.append(ends[-1] + block.tokens)
        marks = [i for i, block in enumerate(blocks) if block.control and ends[i + 1] >= least]
        hit = max((found for mark in marks if (found := self._found(digests, mark, now)) is not None), default=-1)
        later = [mark for mark in marks if mark > hit]
        hours = [mark for mark in later if _lifetime(blocks[mark]) == "1h"]
        a, c = ends[hit + 1], ends[later[-1] + 1] if later else ends[hit + 1]
        b = ends[hours[-1] + 1] if hours else a
        return Outcome(
            input_tokens=ends[-1] - c,
            read=a,
            write_5m=c - b,
            write_1h=b - a,
            refreshed=digests[hit] if hit >= 0 else None,
            entries=tuple((digests[mark], _lifetime(blocks[mark])) for mark in later),
        )

    def keep(self, outcome: Outcome, now: float) -> None:
        """The reply has begun: reading renews, writing is visible."""
        if outcome.refreshed:
            lifetime = self._entries[outcome.refreshed][0]
            self._entries[outcome.refreshed] = (lifetime, now + LIFETIMES[lifetime])
        for digest, lifetime in outcome.entries:
            self._entries[digest] = (lifetime, now + LIFETIMES[lifetime])

    def _found(self, digests: list[str], mark: int, now: float) -> int | None:
        for position in range(mark, max(-1, mark - LOOKBACK), -1):
            if digests[position] in self._entries and self._entries[digests[position]][1] > now:
                return position
        return None


def _lifetime(block: PromptBlock) -> str:
    assert block.control
    return block.control.ttl


def _digests(scope: Sequence[str], blocks: list[PromptBlock]) -> list[str]:
    """One for each prefix."""
    everything, messages = scope
    digests: list[str] = []
    current, part = hashlib.sha256(everything.encode()).hexdigest(), ""
    for block in blocks:
        if block.part != part:
            part = block.part
            current += part + (messages if part == "messages" else "")
        current = hashlib.sha256(current.encode() + b"\0" + block.data).hexdigest()
        digests.append(current)
    return digests
