"""Follow the events of a task: EVENTS is the truth, core NATS only says when to look."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass

from worksite.common import subjects
from worksite.common.bus import Bus, Stored
from worksite.common.errors import Retryable
from worksite.gateway.domain import sse

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 15.0
"""So often at least a sign of life is sent, and so often it is asked whether the client may still watch."""
POLL_SECONDS = 2.0
"""Look this often although nobody said that there is something: listening may have missed it."""
_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 0.02, 1.0
_BATCH = 64


@dataclass(frozen=True)
class Place:
    """Whose events, and the last sequence the client has seen."""

    tenant: str
    task: str
    after: int


async def is_over(bus: Bus, place: Place) -> bool:
    """Has the client seen the task's last event already?"""
    last = await bus.last("EVENTS", subjects.state_subject(place.tenant, place.task))
    return last is not None and last.sequence <= place.after and sse.ends_task(last.subject, last.data)


async def follow(
    bus: Bus,
    place: Place,
    stop: asyncio.Event,
    admitted: Callable[[], Awaitable[bool]],
    *,
    wait: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncGenerator[bytes]:
    """Frames in the order of the stream, each event once, until the task has ended, `stop` is set, the client is no
    longer admitted, or, with `wait=False`, nothing more is there. An outage of NATS only delays it."""
    pattern = subjects.task_events_filter(place.tenant, place.task)
    after, pause = place.after, POLL_SECONDS if wait else _FIRST_RETRY_SECONDS
    sent_at = asked_at = clock()
    async with AsyncExitStack() as stack:
        changed = await _hints(stack, bus, pattern)
        while not stop.is_set():
            if clock() - asked_at >= HEARTBEAT_SECONDS:
                if await _signed_out(admitted):
                    yield sse.SIGNED_OUT
                    return
                asked_at = clock()
            changed.clear()
            found = await _read(bus, pattern, after)
            for stored in found or ():
                after = stored.sequence
                try:
                    frame = sse.frame(stored.sequence, stored.time, stored.subject, stored.data)
                except ValueError:  # it would cut off every client at this very place, for ever
                    log.error("EVENTS seq %d on %s is not JSON: left out", stored.sequence, stored.subject)
                    continue
                yield frame
                sent_at = clock()
                if sse.ends_task(stored.subject, stored.data):
                    return
            if found:
                pause = POLL_SECONDS
                continue
            if found is not None and not wait and await _is_all(bus, pattern, after):
                return
            if clock() - sent_at >= HEARTBEAT_SECONDS:
                yield sse.HEARTBEAT
                sent_at = clock()
            woken = await _pause(changed, stop, min(pause, HEARTBEAT_SECONDS - (clock() - sent_at)))
            pause = _next_pause(pause, woken)
        yield sse.CLOSING


async def _hints(stack: AsyncExitStack, bus: Bus, pattern: str) -> asyncio.Event:
    """Set when there may be something to read; when nobody can be listened to, polling has to do."""
    if bus.reachable:
        with suppress(Retryable):
            return await stack.enter_async_context(bus.listen(pattern))
    return asyncio.Event()


async def _read(bus: Bus, pattern: str, after: int) -> list[Stored] | None:
    """The next events; None when nobody can say."""
    if not bus.reachable:  # reading now would wait for a time-out, and heartbeats with it
        return None
    try:
        return await bus.read("EVENTS", pattern, after, limit=_BATCH)
    except Retryable:
        return None


async def _is_all(bus: Bus, pattern: str, after: int) -> bool:
    """Does the leader know no more than the replica that was read?"""
    try:
        newest = await bus.newest("EVENTS", pattern)
    except Retryable:
        return False
    return newest is None or newest.sequence <= after


async def _signed_out(admitted: Callable[[], Awaitable[bool]]) -> bool:
    """While nobody can say, nothing can be read either."""
    try:
        return not await admitted()
    except Retryable:
        return False


def _next_pause(pause: float, woken: bool) -> float:
    """A message is announced a moment before it can be read: after a wake-up look again soon, then less and less."""
    if woken:
        return _FIRST_RETRY_SECONDS
    return pause * 2 if pause < _LAST_RETRY_SECONDS else POLL_SECONDS


async def _pause(changed: asyncio.Event, stop: asyncio.Event, seconds: float) -> bool:
    """Wait for either event or the time; True when something was announced."""
    waiting = [asyncio.ensure_future(event.wait()) for event in (changed, stop)]
    try:
        await asyncio.wait(waiting, timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for future in waiting:
            future.cancel()
    return changed.is_set()
