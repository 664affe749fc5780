"""For a service whose clients must not wait: a silent server is given up within a second, and taken back as soon as it
answers.

nats-py gives a connection up after three pings without an answer, nine seconds here, and what was asked meanwhile takes
all of its time-out. The server is asked over a connection of its own: on one that works, a PONG waits behind reads, and
these for streams that are being synced to a disk, which may take long and is no silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from worksite.common.bus.connection import Bus
from worksite.common.errors import WorksiteError

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1
_OPEN_SECONDS = 1.0
"""Between two attempts to have a connection for it."""
_QUESTIONS = 2
_LATE = 4 / 3
"""Of the time for an answer: whoever notices so late that it is over had no turn itself."""


@contextlib.asynccontextmanager
async def kept(bus: Bus, patience_seconds: float) -> AsyncGenerator[None]:
    """Look while it is open. A request hangs for so long at most on a server that has just fallen silent."""
    looking = asyncio.create_task(_look(bus, patience_seconds))
    try:
        yield
    finally:
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        bus.go_on()


async def _look(bus: Bus, patience_seconds: float) -> None:
    line = _Line(bus, patience_seconds)
    try:
        while True:
            await look(bus, await line.open(), patience_seconds)
            await asyncio.sleep(LOOK_SECONDS)
    finally:
        await line.close()


@dataclass
class _Line:
    """A connection to the very server that the bus is on: another one of the cluster can say nothing of it."""

    bus: Bus
    patience_seconds: float
    _own: Bus | None = None
    _tried: float = float("-inf")

    async def open(self) -> Bus:
        """What to ask: the bus itself where there is no such connection."""
        if self._own and not self._leads_there(self._own):
            await self.close()
        now = asyncio.get_running_loop().time()
        if self._own is None and self.bus.connected and now - self._tried > _OPEN_SECONDS:
            self._tried = now
            with contextlib.suppress(WorksiteError):
                self._own = await self.bus.beside(self.patience_seconds)
        return self._own if self._own and self._leads_there(self._own) else self.bus

    async def close(self) -> None:
        """At once: nothing is under way on it, and the server may be silent."""
        if self._own:
            own, self._own = self._own, None
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.patience_seconds):
                    await own.client.close()

    def _leads_there(self, own: Bus) -> bool:
        """Behind one address there may be several servers, and either connection may have moved."""
        return own.connected and own.client.server_id == self.bus.client.server_id


async def look(bus: Bus, asked: Bus, patience_seconds: float) -> None:
    """Ask, and once more before the server is given up. Both together take no longer than the patience."""
    clock = asyncio.get_running_loop().time
    for _ in range(_QUESTIONS):
        began, share = clock(), patience_seconds / _QUESTIONS
        if bus.connected and await asked.answers(share):
            if bus.given_up:
                log.warning("NATS answers again")
            bus.go_on()
            return
        if clock() - began > _LATE * share:  # it was us who stood still, and the answer may be there unread
            return
    if not bus.given_up:
        log.warning("NATS does not answer; until it does, nobody is kept waiting for it")
    bus.give_up()
