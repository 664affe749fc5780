"""Is there room for another task? Looked up in the background, never while a request waits (ADR 0010)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

from worksite.common import subjects
from worksite.common.bus import Bus, usage
from worksite.common.errors import WorksiteError
from worksite.gateway import problems

log = logging.getLogger(__name__)

FULL = 0.85
"""From here on no new task is taken; the rest is for those at work, which write to the same stores until they end."""
WRITTEN_BY_TASKS = ("EVENTS", "JOURNAL", f"KV_{subjects.LEDGER}", f"KV_{subjects.TASKS}", f"OBJ_{subjects.ARTIFACTS}")
_LOOK_SECONDS = 5.0


class Room:
    """What was seen last. Nothing is refused before the first look."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._full: frozenset[str] = frozenset()

    @property
    def full(self) -> bool:
        """Is a store that tasks write to nearly full?"""
        return bool(self._full)

    def check(self) -> None:
        """Raises a 507 problem while a store that tasks write to is nearly full."""
        if self._full:
            raise problems.no_room(sorted(self._full))

    async def look(self) -> None:
        """At every store, for the metrics as well. Raises BusUnavailable, PermissionDenied."""
        ratios = {store: (await usage(self._bus, store)).ratio for store in subjects.STORES}
        full = frozenset(store for store in WRITTEN_BY_TASKS if ratios[store] >= FULL)
        if full != self._full:
            log.warning("nearly full: %s", ", ".join(sorted(full)) or "nothing any more")
        self._full = full


@contextlib.asynccontextmanager
async def watched(bus: Bus) -> AsyncGenerator[Room]:
    """Looked at again and again while this is open."""
    room, stop = Room(bus), asyncio.Event()
    watching = asyncio.create_task(_watch(room, stop))
    try:
        yield room
    finally:
        stop.set()  # not cancelled: a request of nats-py can answer that with a time-out
        await watching


async def _watch(room: Room, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await room.look()
        except WorksiteError as error:  # the bus is away, which requests say by themselves
            log.debug("the stores cannot be looked at: %s", error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)
