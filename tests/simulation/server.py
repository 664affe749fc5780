"""What JetStream keeps and promises, in memory: streams, compare-and-set, deduplication, consumers with redelivery.

Streams, caps, filters and waiting times are those of the subject table, so that the model follows the code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from random import Random

from virtual_time import EPOCH
from worksite.common import subjects
from worksite.common.bus.envelope import EXPECTED_LAST_SUBJECT_SEQUENCE, MSG_ID, SCHEDULE, SCHEDULE_TARGET
from worksite.common.errors import Conflict, QueueFull

REPLICA_LAG_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Message:
    """One message as a stream keeps it; `time` is the loop's."""

    subject: str
    sequence: int
    time: float
    data: bytes
    headers: dict[str, str]


class Stream:
    """One stream or bucket."""

    def __init__(self, name: str, filters: tuple[str, ...], window: float) -> None:
        self.name = name
        self.filters = filters
        self.workqueue = self.refuse_new = False
        self.most_per_subject = 0
        self.messages: dict[int, Message] = {}
        self.history: list[Message] = []
        """Everything that was ever stored, for the invariants."""
        self.consumers: list[Consumer] = []
        self._window = window
        self._sequence = 0
        self._of_subject: dict[str, list[int]] = {}
        self._before: dict[str, Message | None] = {}
        self._ids: dict[str, tuple[int, float]] = {}

    def store(self, subject: str, data: bytes, headers: dict[str, str], now: float) -> int:
        """The sequence of the message, or of the one it repeats. Raises Conflict, QueueFull."""
        message_id = headers.get(MSG_ID)
        if message_id and (known := self._ids.get(message_id)) and now - known[1] < self._window:
            return known[0]
        held = self._of_subject.setdefault(subject, [])
        expected = headers.get(EXPECTED_LAST_SUBJECT_SEQUENCE)
        if expected is not None and int(expected) != (held[-1] if held else 0):
            raise Conflict(f"{subject}: wrong last sequence")
        if self.refuse_new and 0 < self.most_per_subject <= len(held):
            raise QueueFull(f"{subject}: {len(held)} messages")
        return self._keep(subject, data, headers, now, message_id)

    def _keep(self, subject: str, data: bytes, headers: dict[str, str], now: float, message_id: str | None) -> int:
        self._sequence += 1
        held = self._of_subject[subject]
        message = Message(subject, self._sequence, now, data, headers)
        self._before[subject] = self.messages[held[-1]] if held else None
        if self.most_per_subject and not self.refuse_new and len(held) >= self.most_per_subject:
            del self.messages[held.pop(0)]
        held.append(self._sequence)
        self.messages[self._sequence] = message
        self.history.append(message)
        if message_id:
            self._ids[message_id] = (self._sequence, now)
        for consumer in self.consumers:
            consumer.offer(message)
        return self._sequence

    def last(self, subject: str, now: float, lagging: bool) -> Message | None:
        """The newest message of a subject, or the one before where a replica answers that has not seen it yet."""
        held = self._of_subject.get(subject)
        newest = self.messages[held[-1]] if held else None
        if lagging and newest and now - newest.time < REPLICA_LAG_SECONDS:
            return self._before[subject]
        return newest

    def under(self, subject_filter: str, after: int, limit: int) -> list[Message]:
        """As a batched direct get."""
        found = (m for m in self.messages.values() if m.sequence > after and matches(subject_filter, m.subject))
        return [message for message, _ in zip(found, range(limit), strict=False)]

    def acked(self, sequence: int) -> None:
        """A work queue drops what is done."""
        if self.workqueue and (message := self.messages.get(sequence)):
            self.remove(message)

    def remove(self, message: Message) -> bool:
        """False when it is no longer there."""
        if self.messages.pop(message.sequence, None) is None:
            return False
        self._of_subject[message.subject].remove(message.sequence)
        return True

    def restarted(self) -> None:
        """The server rebuilds its table of message ids from what is stored: those of acked work are forgotten."""
        self._ids = {known: seen for known, seen in self._ids.items() if seen[0] in self.messages}


class Consumer:
    """A durable pull consumer. What is offered stays its business until it is acked or terminated."""

    def __init__(self, stream: Stream, filters: tuple[str, ...], loop: asyncio.AbstractEventLoop, rng: Random) -> None:
        self._stream = stream
        self._filters = filters
        self._loop = loop
        self._rng = rng
        self._ready: list[int] = []
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._attempts: dict[int, int] = {}
        self._waiting: list[Callable[[Message, int], bool]] = []

    @property
    def outstanding(self) -> list[int]:
        """Sequences that are not done."""
        return list(self._attempts)

    def offer(self, message: Message) -> None:
        if any(matches(subject_filter, message.subject) for subject_filter in self._filters):
            self._attempts[message.sequence] = 0
            self.again(message.sequence)

    def wait(self, take: Callable[[Message, int], bool]) -> None:
        """`take` gets one message and its attempt; False when nobody waits there any more."""
        self._waiting.append(take)
        self._dispatch()

    def disconnected(self) -> None:
        """Forget who waits."""
        self._waiting.clear()

    def again(self, sequence: int) -> None:
        """Deliver (once more), unless it is done."""
        if sequence in self._attempts and sequence not in self._ready:
            self._ready.append(sequence)
            self._dispatch()

    def ack(self, sequence: int) -> None:
        if self._attempts.pop(sequence, None) is None:
            return
        if sequence in self._ready:
            self._ready.remove(sequence)
        self._stop_timer(sequence)
        self._stream.acked(sequence)

    def nak(self, sequence: int, delay: float) -> None:
        if sequence in self._attempts:
            self._start_timer(sequence, delay)

    def in_progress(self, sequence: int) -> None:
        if sequence in self._timers:
            self._start_timer(sequence, subjects.ACK_WAIT_SECONDS)

    def _dispatch(self) -> None:
        """In any order: slots, replicas and redeliveries run side by side."""
        while self._ready and self._waiting:
            sequence = self._ready[self._rng.randrange(len(self._ready))]
            message = self._stream.messages.get(sequence)
            if message is None:  # a later one of its subject has replaced it
                self.ack(sequence)
                continue
            take = self._waiting.pop(self._rng.randrange(len(self._waiting)))
            if take(message, self._attempts[message.sequence] + 1):
                self._ready.remove(message.sequence)
                self._attempts[message.sequence] += 1
                self._start_timer(message.sequence, subjects.ACK_WAIT_SECONDS)

    def _start_timer(self, sequence: int, seconds: float) -> None:
        self._stop_timer(sequence)
        self._timers[sequence] = self._loop.call_later(seconds, self._expired, sequence)

    def _stop_timer(self, sequence: int) -> None:
        if timer := self._timers.pop(sequence, None):
            timer.cancel()

    def _expired(self, sequence: int) -> None:
        self._timers.pop(sequence, None)
        self.again(sequence)


class Server:
    """All streams and buckets of the subject table."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rng: Random, window: float, work_cap: int) -> None:
        self.streams: dict[str, Stream] = {}
        self.consumers: dict[tuple[str, str], Consumer] = {}
        self.published: list[tuple[str, dict[str, str], bytes]] = []
        """Every publication that arrived, duplicates and refused ones included."""
        self.heard: Callable[[Message], None] = lambda _: None
        """Told of everything that is stored."""
        self._loop = loop
        self._routes: dict[str, Stream] = {}
        for spec in subjects.STREAMS:
            stream = self.streams[spec.name] = Stream(spec.name, spec.subjects, window)
            stream.workqueue, stream.refuse_new = spec.retention == "workqueue", spec.refuse_new
            stream.most_per_subject = work_cap if spec.name == "WORK" else max(0, spec.max_msgs_per_subject)
        for bucket in subjects.BUCKETS:
            stream = self.streams[f"KV_{bucket.name}"] = Stream(bucket.name, (f"$KV.{bucket.name}.>",), window)
            stream.most_per_subject = 1
        for spec in subjects.CONSUMERS:
            stream = self.streams[spec.stream]
            consumer = self.consumers[spec.stream, spec.service] = Consumer(stream, spec.filters, loop, rng)
            stream.consumers.append(consumer)

    def publish(self, subject: str, data: bytes, headers: dict[str, str]) -> int:
        """Raises Conflict, QueueFull."""
        self.published.append((subject, headers, data))
        stream = self._stream_of(subject)
        stored = len(stream.history)
        sequence = stream.store(subject, data, headers, self._loop.time())
        if len(stream.history) > stored:
            self.heard(stream.history[-1])
            if SCHEDULE in headers:
                self._publish_later(stream, stream.history[-1])
        return sequence

    def _publish_later(self, stream: Stream, timer: Message) -> None:
        """ADR-51: when its time has come, unless another one has replaced it."""
        at = datetime.fromisoformat(timer.headers[SCHEDULE].removeprefix("@at "))
        kept = {name: value for name, value in timer.headers.items() if not name.startswith("Nats-")}

        def due() -> None:
            if stream.remove(timer):
                self.publish(timer.headers[SCHEDULE_TARGET], timer.data, kept)

        self._loop.call_later(max(0.0, (at - EPOCH).total_seconds() - self._loop.time()), due)

    def restart(self) -> None:
        """kill -9: what was acked is on disk, who was connected is not."""
        for stream in self.streams.values():
            stream.restarted()
        for consumer in self.consumers.values():
            consumer.disconnected()

    def unfinished(self) -> Iterator[str]:
        """What is stored in a work queue or not acked by a consumer."""
        for (stream, service), consumer in self.consumers.items():
            yield from (f"{stream} seq {sequence} is not acked by {service}" for sequence in consumer.outstanding)
        for stream in self.streams.values():
            if stream.workqueue:
                yield from (f"{stream.name} still holds seq {sequence}" for sequence in stream.messages)

    def _stream_of(self, subject: str) -> Stream:
        head = ".".join(subject.split(".")[:3])
        if head not in self._routes:
            self._routes[head] = next(
                stream for stream in self.streams.values() if any(matches(f, subject) for f in stream.filters)
            )
        return self._routes[head]


def matches(subject_filter: str, subject: str) -> bool:
    """NATS's wildcards: `*` is one token, `>` the rest."""
    wanted, tokens = subject_filter.split("."), subject.split(".")
    for position, token in enumerate(wanted):
        if token == ">":
            return len(tokens) > position
        if position >= len(tokens) or token not in ("*", tokens[position]):
            return False
    return len(wanted) == len(tokens)
