"""Rate limits across replicas: counts are exchanged in the background, never while a request waits.

Without NATS every replica keeps to the whole limit by itself: together they may let through too much, none stays open.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence

from prometheus_client import Counter
from worksite.common import subjects
from worksite.common.bus import Bus, add
from worksite.common.errors import WorksiteError
from worksite.gateway.domain import fleet
from worksite.gateway.domain.fleet import Seen
from worksite.gateway.domain.rates import Meter

log = logging.getLogger(__name__)

_EXCHANGES = Counter("worksite_gateway_rate_exchanges_total", "Exchanges of rate counts among replicas", ["result"])
_KEYS_PER_EXCHANGE = 500
"""Of one limit; what is beyond waits for the next exchange."""
_AT_ONCE = 50
"""So that a long exchange leaves room for requests in between."""
_HASH_CHARACTERS = 32


class Fleet:
    """One replica's part in the exchange. Clocks: monotonic for the limits, of the day for the windows."""

    def __init__(
        self,
        bus: Bus,
        meters: Sequence[Meter],
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self._bus = bus
        self._meters = meters
        self._clock = clock
        self._unix_clock = unix_clock
        self._seen: dict[tuple[str, str], Seen] = {}
        self._window = 0
        self._alone = False

    async def exchange(self) -> None:
        """Tell what was let through here since last time, and charge what was elsewhere.

        What cannot be told is not told later: after an outage nobody pays for what happened in it.
        """
        if not self._bus.reachable:
            self._left_alone("not connected")
            return
        self._forget_old_windows()
        told = [(meter, *count) for meter in self._meters for count in meter.tell(_KEYS_PER_EXCHANGE)]
        try:
            for start in range(0, len(told), _AT_ONCE):
                async with asyncio.TaskGroup() as together:
                    for meter, key, own in told[start : start + _AT_ONCE]:
                        together.create_task(self._settle(meter, key, own))
        except* WorksiteError as errors:
            self._left_alone(str(errors.exceptions[0]))
        else:
            self._heard(bool(told))

    async def _settle(self, meter: Meter, key: str, own: int) -> None:
        unix, name = self._unix_clock(), (meter.limit.name, key)
        seen = self._seen.setdefault(name, fleet.first_seen(self._clock(), unix))
        current, *before = fleet.windows(unix)
        others = seen.others(current, own, await add(self._bus, _subject(meter, key, current), own))
        for window in before:
            others += seen.others(window, 0, await add(self._bus, _subject(meter, key, window), 0))
        now = self._clock()
        meter.charge(key, others, seen.since, now)
        seen.since = now

    def _forget_old_windows(self) -> None:
        oldest = fleet.windows(self._unix_clock())[0] - 1
        if oldest == self._window:
            return
        self._window = oldest
        for seen in self._seen.values():
            seen.forget_before(oldest)
        self._seen = {name: seen for name, seen in self._seen.items() if seen.totals}

    def _left_alone(self, reason: str) -> None:
        _EXCHANGES.labels("failed").inc()
        for meter in self._meters:
            meter.forget_untold()
        if not self._alone:
            log.warning("rate limits hold for this replica alone: %s", reason)
        self._alone = True

    def _heard(self, anything: bool) -> None:
        if anything:
            _EXCHANGES.labels("done").inc()
        if anything and self._alone:
            log.warning("rate limits hold for all replicas together again")
            self._alone = False


@contextlib.asynccontextmanager
async def exchanging(bus: Bus, meters: Sequence[Meter], every_seconds: float) -> AsyncGenerator[None]:
    """Exchange counts while it is open."""
    exchanges = asyncio.create_task(_exchange_for_ever(Fleet(bus, meters), every_seconds))
    try:
        yield
    finally:
        exchanges.cancel()


async def _exchange_for_ever(replica: Fleet, every_seconds: float) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        await replica.exchange()


def _subject(meter: Meter, key: str, window: int) -> str:
    """Names of people and addresses of clients do not belong on the bus: the key shows only whose tenant it is."""
    tenant, _, name = key.partition("\n")
    digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_CHARACTERS]
    return subjects.rate_subject(tenant, f"{meter.limit.name}-{digest}", window)
