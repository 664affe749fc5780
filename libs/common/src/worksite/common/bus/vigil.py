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
from dataclasses import replace

from worksite.common.bus.connection import Bus
from worksite.common.errors import BusUnavailable

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.1


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
    async with contextlib.AsyncExitStack() as stack:
        own: Bus | None = None
        while True:
            if own is None and bus.connected:
                with contextlib.suppress(BusUnavailable):
                    own = await Bus.connect(replace(bus.settings, timeout_seconds=patience_seconds))
                    stack.push_async_callback(own.close)
            await look(bus, own if own and own.connected else bus, patience_seconds)
            await asyncio.sleep(LOOK_SECONDS)


async def look(bus: Bus, asked: Bus, patience_seconds: float) -> None:
    """Ask once."""
    clock = asyncio.get_running_loop().time
    began = clock()
    if bus.connected and await asked.answers(patience_seconds):
        if bus.given_up:
            log.warning("NATS answers again")
        bus.go_on()
    elif clock() - began < 2 * patience_seconds:  # else it was us who stood still, and the answer may be there unread
        if not bus.given_up:
            log.warning("NATS does not answer; until it does, nobody is kept waiting for it")
        bus.give_up()
