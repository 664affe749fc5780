"""The pull loop: fetch what fits, keep each delivery alive, hand back what cannot be finished."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from worksite.common import telemetry
from worksite.common.bus.connection import Bus
from worksite.common.errors import BusUnavailable
from worksite.common.subjects import HEARTBEAT_SECONDS

log = logging.getLogger(__name__)

FETCH_SECONDS = 5.0
_BACKOFF_FIRST, _BACKOFF_LAST = 0.5, 60.0


@dataclass
class Delivery:
    """One delivery of one stored message. Exactly one of ack, hand_back, terminate ends it."""

    subject: str
    data: bytes
    headers: dict[str, str]
    stream: str
    sequence: int
    attempt: int
    _message: Msg

    @classmethod
    def of(cls, message: Msg) -> Delivery:
        meta = message.metadata
        return cls(
            subject=message.subject,
            data=message.data,
            headers=dict(message.headers or {}),
            stream=meta.stream,
            sequence=meta.sequence.stream,
            attempt=meta.num_delivered or 1,
            _message=message,
        )

    async def ack(self) -> None:
        """Done; returns when the server has noted it."""
        with _as_unavailable("ack"):
            await self._message.ack_sync(timeout=5)

    async def hand_back(self, delay_seconds: float | None = None) -> None:
        """Deliver again later; by default exponentially later, with jitter. Never a plain nak, which storms."""
        if not self._message.is_acked:
            await self._message.nak(delay=delay_seconds if delay_seconds is not None else backoff(self.attempt))

    async def terminate(self) -> None:
        """Never deliver again."""
        await self._message.term()

    async def in_progress(self) -> None:
        """Restart the server's ack timer."""
        await self._message.in_progress()


def backoff(attempt: int) -> float:
    """Seconds to wait before the next attempt: exponential from 0.5 s to 60 s with ±25 % jitter."""
    base = min(_BACKOFF_LAST, _BACKOFF_FIRST * 2 ** min(attempt - 1, 10))
    return base * random.uniform(0.75, 1.25)


@contextlib.contextmanager
def _as_unavailable(what: str):
    try:
        yield
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise BusUnavailable(f"{what}: no answer from NATS") from error


@dataclass
class Progress:
    """What a liveness probe needs: when the loop last turned."""

    last_turn: float = 0.0

    def turned(self) -> None:
        self.last_turn = time.monotonic()

    def stalled(self, limit_seconds: float = 3 * FETCH_SECONDS) -> bool:
        """True when the loop has started and has not turned for that long."""
        return self.last_turn > 0 and time.monotonic() - self.last_turn > limit_seconds


async def consume(
    bus: Bus,
    stream: str,
    durable: str,
    handle: Callable[[Delivery], Awaitable[None]],
    *,
    concurrency: int,
    stop: asyncio.Event,
    grace_seconds: float = 10.0,
    progress: Progress | None = None,
) -> None:
    """Call `handle` for each delivery until `stop` is set; then finish or hand back what is running.

    `handle` must end its delivery itself; an exception that escapes it hands the delivery back.
    """
    progress = progress or Progress()
    running: set[asyncio.Task[None]] = set()
    subscription: JetStreamContext.PullSubscription | None = None
    try:
        while not stop.is_set():
            progress.turned()
            try:
                subscription = subscription or await bus.jetstream.pull_subscribe_bind(durable, stream)
                messages = await _fetch(subscription, concurrency - len(running), running, stop)
            except (nats.errors.Error, OSError) as error:
                log.warning("fetching from %s failed, binding again: %s", stream, error)
                subscription = await _unsubscribed(subscription)
                await _wait(stop, random.uniform(0.2, 1.0))
                continue
            for message in messages:
                running.add(task := asyncio.create_task(_deliver(message, handle)))
                task.add_done_callback(running.discard)
    finally:
        await _unsubscribed(subscription)
        await _finish(running, grace_seconds)


async def _fetch(
    subscription: JetStreamContext.PullSubscription, free: int, running: set[asyncio.Task[None]], stop: asyncio.Event
) -> list[Msg]:
    """At most as many messages as there are free slots; returns early when stopping."""
    stopping = asyncio.create_task(stop.wait())
    try:
        if free < 1:
            await asyncio.wait({stopping, *running}, timeout=FETCH_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            return []
        fetching = asyncio.create_task(subscription.fetch(free, timeout=FETCH_SECONDS))
        await asyncio.wait({stopping, fetching}, return_when=asyncio.FIRST_COMPLETED)
        if fetching.done():
            return fetching.result()
        fetching.cancel()
        return []
    except TimeoutError:  # nothing to do: nats-py's way of saying so
        return []
    finally:
        stopping.cancel()


async def _deliver(message: Msg, handle: Callable[[Delivery], Awaitable[None]]) -> None:
    delivery = Delivery.of(message)
    heartbeat = asyncio.create_task(_keep_alive(delivery))
    try:
        with telemetry.consumed(delivery.subject, delivery.headers):
            await handle(delivery)
    except asyncio.CancelledError:
        await _hand_back_quietly(delivery, 0.1)
    except Exception:  # the boundary: whatever a handler let through must not lose the message
        log.exception("handling %s seq %d failed; handed back", delivery.stream, delivery.sequence)
        await _hand_back_quietly(delivery, None)
    finally:
        heartbeat.cancel()


async def _keep_alive(delivery: Delivery) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        with contextlib.suppress(nats.errors.Error):
            await delivery.in_progress()


async def _hand_back_quietly(delivery: Delivery, delay: float | None) -> None:
    with contextlib.suppress(nats.errors.Error, OSError):  # then ack_wait does it
        await delivery.hand_back(delay)


async def _finish(running: set[asyncio.Task[None]], grace_seconds: float) -> None:
    if not running:
        return
    _, late = await asyncio.wait(running, timeout=grace_seconds)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=2)


async def _unsubscribed(subscription: JetStreamContext.PullSubscription | None) -> None:
    if subscription is not None:
        with contextlib.suppress(nats.errors.Error, ValueError):
            await subscription.unsubscribe()


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
