"""A process's side of the simulated bus: the Bus, the subscription and the message that the real code holds.

A call leaves the process, has its effect on the server and comes back; each of the three may fail by itself. What has
left a process that dies still arrives.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import nats.errors
from nats.aio.msg import Msg
from network import Network, Process
from server import Consumer, Message
from virtual_time import EPOCH
from worksite.common.bus import Bus, Stored, Tip
from worksite.common.bus.connection import MAX_PAYLOAD_BYTES
from worksite.common.errors import BusUnavailable, PayloadTooLarge

T = TypeVar("T")


class SimulatedBus(Bus):
    """Bus over a simulated network; `publish` and everything above it is the real code."""

    def __init__(self, network: Network, process: Process) -> None:
        self._network = network
        self._process = process
        self.jetstream: Any = _JetStream(self)

    @property
    def connected(self) -> bool:
        """Nobody here is told that a connection broke; only probes, which nobody asks, would make something of it."""
        return True

    async def request_raw(self, subject: str, data: bytes, headers: dict[str, str] | None = None) -> Msg:
        """Requests and replies take no part, nor does the collector, which begins with one."""
        raise BusUnavailable(f"nobody answers {subject} here")

    async def publish_raw(
        self, subject: str, data: bytes, headers: dict[str, str], max_bytes: int = MAX_PAYLOAD_BYTES
    ) -> int:
        if len(data) > max_bytes:
            raise PayloadTooLarge(f"{len(data)} bytes for {subject}")
        if headers.get("ce-source") in ("architect", "builder", "validator"):
            # A worker's envelopes bear the machine's time, and admin's decisions know no other clock.
            headers = headers | {"ce-time": self._network.loop.today().isoformat()}
        server = self._network.server
        return await self.call(f"publish {subject}", lambda: server.publish(subject, data, headers))

    async def tip(self, stream: str, subject: str, *, history: bool = True) -> Tip:
        network, source = self._network, self._network.server.streams[stream]

        def read() -> Tip:
            now = network.loop.time()
            found = source.last(subject, now, network.chaos.happens(network.chaos.weather.lagging, now))
            return Tip(found.sequence, _stored(found)) if found else Tip(0, None)

        return await self.call(f"last {subject}", read)

    async def newest(self, stream: str, subject: str) -> Stored | None:
        network, source = self._network, self._network.server.streams[stream]

        def read() -> Stored | None:
            found = source.last(subject, network.loop.time(), False)
            return _stored(found) if found else None

        return await self.call(f"newest {subject}", read)

    async def read(self, stream: str, subject_filter: str, after: int, limit: int = 256) -> list[Stored]:
        source = self._network.server.streams[stream]
        return await self.call(
            f"read {subject_filter}", lambda: [_stored(m) for m in source.under(subject_filter, after, limit)]
        )

    async def subscribed(self) -> None:
        """Nothing is subscribed."""

    async def call(self, what: str, effect: Callable[[], T]) -> T:
        """Raises what the effect raises, BusUnavailable when no answer comes, CancelledError in a dead process."""
        reply: asyncio.Future[T] = self._network.loop.create_future()
        self._network.send(self._process, what, effect, reply)
        return await reply

    def cast(self, what: str, effect: Callable[[], object]) -> None:
        """Without waiting for an answer."""
        self._network.send(self._process, what, effect, None)

    async def fetch(self, consumer: Consumer, name: str) -> Received:
        """The next message of a consumer, as nats-py hands it over. Raises nats.errors.ConnectionClosedError."""
        message, attempt = await self._network.fetch(self._process, consumer)
        return Received(self, consumer, name, message, attempt)

    def consumer(self, stream: str, durable: str) -> Consumer:
        self._network.must_live(self._process)
        return self._network.server.consumers[stream, durable]


@dataclass(frozen=True)
class _JetStream:
    bus: SimulatedBus

    async def pull_subscribe_bind(self, durable: str, stream: str) -> _Subscription:
        return _Subscription(self.bus, self.bus.consumer(stream, durable), stream)


@dataclass(frozen=True)
class _Subscription:
    bus: SimulatedBus
    consumer: Consumer
    stream: str

    async def fetch(self, batch: int, timeout: float, heartbeat: float) -> list[Received]:  # noqa: ASYNC109
        """Waits as long as it takes: an idle loop that turns shows nothing and costs time."""
        return [await self.bus.fetch(self.consumer, self.stream)]

    async def unsubscribe(self) -> None: ...


@dataclass(frozen=True)
class _Sequence:
    stream: int


@dataclass(frozen=True)
class _Metadata:
    stream: str
    sequence: _Sequence
    num_delivered: int


class Received:
    """What nats-py's Msg is to Delivery."""

    def __init__(self, bus: SimulatedBus, consumer: Consumer, stream: str, message: Message, attempt: int) -> None:
        self.subject, self.data, self.headers = message.subject, message.data, message.headers
        self.metadata = _Metadata(stream, _Sequence(message.sequence), attempt)
        self.is_acked = False
        self._bus = bus
        self._consumer = consumer

    async def ack_sync(self, timeout: float = 1.0) -> None:  # noqa: ASYNC109
        sequence = self._end()
        try:
            await self._bus.call(f"ack {self._name}", lambda: self._consumer.ack(sequence))
        except BusUnavailable as error:
            raise nats.errors.TimeoutError from error

    async def nak(self, delay: float) -> None:
        sequence = self._end()
        self._bus.cast(f"nak {self._name} for {delay:.1f} s", lambda: self._consumer.nak(sequence, delay))

    async def term(self) -> None:
        sequence = self._end()
        self._bus.cast(f"term {self._name}", lambda: self._consumer.ack(sequence))

    async def in_progress(self) -> None:
        sequence = self.metadata.sequence.stream
        self._bus.cast(f"in progress {self._name}", lambda: self._consumer.in_progress(sequence))

    @property
    def _name(self) -> str:
        return f"{self.metadata.stream} seq {self.metadata.sequence.stream}"

    def _end(self) -> int:
        if self.is_acked:
            raise nats.errors.MsgAlreadyAckdError(self)  # pyright: ignore[reportArgumentType]
        self.is_acked = True
        return self.metadata.sequence.stream


def _stored(message: Message) -> Stored:
    time = EPOCH + timedelta(seconds=message.time)
    return Stored(message.subject, message.sequence, time, message.data, dict(message.headers))
