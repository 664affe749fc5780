"""An event loop whose clock jumps to the next timer: an hour of waiting takes no time, and a run can be repeated."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
"""Long past: admin's sweeper goes by the machine's clock, so it has no patience here and meddles at once."""


class Deadlock(Exception):
    """Nobody can go on: every coroutine waits for something that no timer will bring."""


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """asyncio's own loop over a selector that never waits and knows no files."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def today(self) -> datetime:
        """The same clock as a date."""
        return EPOCH + timedelta(seconds=self._now)

    def select(self, timeout: float | None) -> list[Any]:
        """What BaseEventLoop asks its selector between two turns. Raises Deadlock."""
        if timeout is None:
            raise Deadlock
        self._now += timeout
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        """There are never any."""

    def _write_to_self(self) -> None:
        """Nobody has to be woken: there are no threads."""
