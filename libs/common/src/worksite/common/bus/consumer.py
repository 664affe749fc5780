"""The pull loop: fetch what fits, keep each delivery alive, hand back what cannot be finished."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import nats.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import FetchTimeoutError
from worksite.common import telemetry
from worksite.common.bus import lag
from worksite.common.bus.connection import Bus
from worksite.common.errors import BusUnavailable, Retryable
from worksite.common.subjects import HEARTBEAT_SECONDS

log = logging.getLogger(__name__)

FETCH_SECONDS = 5.0
STALLED_SECONDS = 6 * FETCH_SECONDS
"""Longer than it takes to see that the connection is gone."""
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
    outcome: str = "abandoned"

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
        self.outcome = "acked"

    async def hand_back(self, delay_seconds: float | None = None) -> None:
        """Deliver again later; by default exponentially later, with jitter. Never a plain nak, which storms."""
        if not self._message.is_acked:
            delay = delay_seconds if delay_seconds is not None else backoff(self.attempt)
            with _as_unavailable("hand-back"):
                await self._message.nak(delay=delay)
            self.outcome = "handed_back"

    async def terminate(self) -> None:
        """Never deliver again."""
        with _as_unavailable("termination"):
            await self._message.term()
        self.outcome = "terminated"

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
    """What a liveness probe needs: when the loop last turned. Without a connection it turns in vain, and is no less
    alive: a restart would not bring NATS back."""

    clock: Callable[[], float] = time.monotonic
    last_turn: float = 0.0

    def turned(self) -> None:
        self.last_turn = self.clock()

    def stalled(self, limit_seconds: float = STALLED_SECONDS) -> bool:
        """True when the loop has started and has not turned for that long."""
        return self.last_turn > 0 and self.clock() - self.last_turn > limit_seconds


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

    `handle` must end its delivery itself; an exception that escapes it hands the delivery back. Each of the
    `concurrency` slots fetches for itself, one message at a time: nothing is fetched that cannot start at once, and
    nats-py's batch fetch, which may wait for a full batch until its time is out, stays out of the way.
    """
    stopping = asyncio.create_task(stop.wait())
    progress = progress or Progress()
    progress.turned()  # from here on: a loop that never gets to its first turn is stalled as well
    slot = _Slot(bus, stream, durable, handle, stopping, progress)
    slots = [asyncio.create_task(slot.run()) for _ in range(concurrency)]
    watching = asyncio.create_task(lag.watch(bus, stream, durable, stopping))
    try:
        await asyncio.wait({stopping, *slots}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        try:
            await _finish(slots, grace_seconds)
        finally:
            await watching


@dataclass(frozen=True)
class _Slot:
    """Room for one delivery at a time."""

    bus: Bus
    stream: str
    durable: str
    handle: Callable[[Delivery], Awaitable[None]]
    stopping: asyncio.Task[Literal[True]]
    """Done when nothing more is to be fetched: one for all slots, because each fetch waits for it."""
    progress: Progress

    async def run(self) -> None:
        """Bind, fetch, deliver; bind again after trouble."""
        while not self.stopping.done():
            try:
                subscription = await self.bus.jetstream.pull_subscribe_bind(self.durable, self.stream)
                try:
                    await self._turn(subscription)
                finally:
                    await _unsubscribed(subscription)
            except (nats.errors.Error, OSError) as error:
                log.warning("fetching from %s failed, binding again: %s", self.stream, error)
                self._turned_in_vain()
                await asyncio.wait({self.stopping}, timeout=random.uniform(0.2, 1.0))

    async def _turn(self, subscription: JetStreamContext.PullSubscription) -> None:
        while not self.stopping.done():
            message = await self._fetch(subscription)
            if message is not None:
                self.progress.turned()
                await self._deliver(message)

    async def _fetch(self, subscription: JetStreamContext.PullSubscription) -> Msg | None:
        """The next message, or None when there is none for a while or it is time to stop."""
        fetching = asyncio.create_task(subscription.fetch(1, timeout=FETCH_SECONDS, heartbeat=FETCH_SECONDS / 4))
        try:
            await asyncio.wait({self.stopping, fetching}, return_when=asyncio.FIRST_COMPLETED)
            return fetching.result()[0] if fetching.done() else None
        except FetchTimeoutError:  # nothing to do, and the server's heartbeats said so
            self.progress.turned()
            return None
        except TimeoutError:  # not a word: the connection or the consumer is gone, which a probe shall see
            self._turned_in_vain()
            return None
        finally:
            fetching.cancel()

    def _turned_in_vain(self) -> None:
        if not self.bus.connected:
            self.progress.turned()

    async def _deliver(self, message: Msg) -> None:
        delivery = Delivery.of(message)
        if delivery.attempt > 1:
            telemetry.redelivered(delivery.subject)
        heartbeat = asyncio.create_task(self._keep_alive(delivery))
        try:
            with telemetry.consumed(delivery.subject, delivery.headers) as handling:
                await self._handled(delivery)
                handling.outcome = delivery.outcome
        except asyncio.CancelledError:
            await _hand_back_quietly(delivery, 0.1)
            raise
        except Exception:  # the boundary: whatever a handler let through must not lose the message
            log.exception("handling %s seq %d failed; handed back", delivery.stream, delivery.sequence)
            telemetry.handler_failed(delivery.subject)
            await _hand_back_quietly(delivery, None)
        finally:
            heartbeat.cancel()

    async def _handled(self, delivery: Delivery) -> None:
        """An outage (most of all an ack without an answer) or a full stream is no fault of the handler's."""
        try:
            await self.handle(delivery)
        except Retryable as error:
            log.warning("%s seq %d comes again: %s", delivery.stream, delivery.sequence, error)
            await _hand_back_quietly(delivery, None)

    async def _keep_alive(self, delivery: Delivery) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_SECONDS)
            self.progress.turned()
            with contextlib.suppress(nats.errors.Error):
                await delivery.in_progress()


async def _hand_back_quietly(delivery: Delivery, delay: float | None) -> None:
    with contextlib.suppress(BusUnavailable):  # then ack_wait does it
        await delivery.hand_back(delay)


async def _finish(slots: Sequence[asyncio.Task[None]], grace_seconds: float) -> None:
    """Let each slot end its delivery; cancel, which hands back, what takes longer than the grace."""
    _, late = await asyncio.wait(slots, timeout=grace_seconds)
    for task in late:
        task.cancel()
    ended = await asyncio.gather(*slots, return_exceptions=True)
    if broken := [outcome for outcome in ended if isinstance(outcome, Exception)]:
        raise broken[0]


async def _unsubscribed(subscription: JetStreamContext.PullSubscription | None) -> None:
    if subscription is not None:
        with contextlib.suppress(nats.errors.Error, ValueError):
            await subscription.unsubscribe()
