"""Does the bus still answer? Asked every few seconds, so that a probe costs it nothing and never waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from worksite.common.bus import Bus

BEAT_SECONDS = 5.0
PATIENCE_SECONDS = 2.0
SILENT_SECONDS = 2 * BEAT_SECONDS
"""After this long without an answer nothing more should be sent here."""
DEAF_SECONDS = 60.0
"""After this long only a restart helps: nats-py gives up a connection without answers in seconds, and makes another."""


@dataclass
class Pulse:
    """The bus's last sign of life.

    An outage is no silence. While there is no connection nobody can answer, and no restart would change that.
    """

    bus: Bus
    clock: Callable[[], float] = time.monotonic
    _heard: float = field(init=False)

    def __post_init__(self) -> None:
        self._heard = self.clock()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.beat()
            await asyncio.sleep(BEAT_SECONDS)

    async def beat(self) -> None:
        """Ask once."""
        if not self.bus.connected or await self.bus.answers(PATIENCE_SECONDS):
            self._heard = self.clock()

    def ready(self) -> str | None:
        """A probe: can anything be done now?"""
        if not self.bus.connected:
            return "not connected to NATS"
        return "NATS does not answer" if self.bus.given_up or self._silence() > SILENT_SECONDS else None

    def alive(self) -> str | None:
        """A probe: is there nothing that only a restart would mend?"""
        if self.bus.connected and self._silence() > DEAF_SECONDS:
            return f"connected to NATS, which has not answered for {self._silence():.0f} s"
        return None

    def _silence(self) -> float:
        return self.clock() - self._heard
