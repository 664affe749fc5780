# nats-py is only partly typed.
# pyright: reportUnknownMemberType=false
"""One connection to NATS, with errors that say what happened."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Coroutine
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

import nats
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from worksite.common import telemetry
from worksite.common.bus.client import NatsClient
from worksite.common.bus.denials import Denials
from worksite.common.bus.envelope import (
    EXPECTED_LAST_SUBJECT_SEQUENCE,
    MSG_ID,
    SCHEDULE,
    SCHEDULE_TARGET,
    Envelope,
)
from worksite.common.bus.settings import BusSettings
from worksite.common.bus.stored import Stored, Tip, ends, stored, unpacked
from worksite.common.bus.tls import BusTls
from worksite.common.errors import (
    BusUnavailable,
    Conflict,
    PayloadTooLarge,
    Permanent,
    PermissionDenied,
    QueueFull,
)
from worksite.common.ids import new_id
from worksite.common.messages import Message
from worksite.common.subjects import inbox_prefix

log = logging.getLogger(__name__)

MAX_PAYLOAD_BYTES = 64 * 1024
"""Larger payloads travel as an ArtifactRef (DESIGN section 4)."""
_WRONG_LAST_SEQUENCE = {10071, 10164}
_MAX_MESSAGES_PER_SUBJECT = 10077
_MAX_MESSAGES, _MAX_BYTES = 10076, 10079
_NO_MESSAGE = 10037
_READ_BATCH = 256
_FOREIGN_REMEMBERED = 1024
_PING_SECONDS = 3
_PINGS_UNANSWERED = 2
"""After three intervals a server that stands still counts as gone, and another one of the cluster is asked."""

T = TypeVar("T")


class Bus:
    """Publishes, reads and subscribes. Use `Bus.connect`; close with `close()`."""

    def __init__(self, client: NatsClient, settings: BusSettings, denied: Denials) -> None:
        self.client = client
        self.settings = settings
        self.jetstream: JetStreamContext = client.jetstream(timeout=settings.timeout_seconds)
        self._denied = denied
        self._tell_foreign = lru_cache(_FOREIGN_REMEMBERED)(_tell_foreign)  # once each, however often it is read

    @classmethod
    async def connect(cls, settings: BusSettings) -> Bus:
        """Raises BusUnavailable when no server answers, PermissionDenied when it knows no such user, Permanent for a
        malformed address, for files that are no certificates, and where TLS was asked for and cannot be had."""
        servers, denied = settings.servers, Denials()
        if settings.tls != BusTls():
            settings.tls.context()
        client = NatsClient(settings.tls)
        try:
            await denied.unless_refused(_first_connection(client, servers, settings, denied))
        except PermissionDenied:
            await client.close()
            raise PermissionDenied(f"NATS at {settings.url} refuses the user {settings.user!r}") from None
        except Permanent as error:
            await client.close()
            raise Permanent(f"NATS at {settings.url}: {error}") from None
        except (OSError, nats.errors.Error, TimeoutError) as error:
            await client.close()
            cause = denied.last_error or str(error)
            raise BusUnavailable(f"NATS at {settings.url} does not answer: {cause}") from error
        return cls(client, settings, denied)

    async def beside(self, timeout_seconds: float) -> Bus:
        """One more connection, to the address that this one is connected to. Raises as `connect`."""
        if not (url := self.client.connected_url):
            raise BusUnavailable(f"not connected to NATS at {self.settings.url}")
        tls = replace(self.settings.tls, hostname=self.client.tls_hostname or self.settings.tls.hostname)
        return await self.connect(replace(self.settings, url=url.geturl(), tls=tls, timeout_seconds=timeout_seconds))

    @property
    def connected(self) -> bool:
        """True while a server is on the other end."""
        return self.client.is_connected

    @property
    def reachable(self) -> bool:
        """Connected, and not given up: what is asked now may be answered."""
        return self.connected and not self.given_up

    @property
    def given_up(self) -> bool:
        """Since `give_up`, until `go_on`."""
        return self._denied.given_up

    def give_up(self) -> None:
        """The server is silent: calls under way fail at once, and so do new ones until `go_on`."""
        self._denied.give_up()

    def go_on(self) -> None:
        """It answers again."""
        self._denied.given_up = False

    async def answers(self, patience_seconds: float) -> bool:
        """Does the server answer in time? One PING: `connected` stays true on a connection that has gone deaf."""
        return await self.client.round_trip(patience_seconds)

    async def close(self) -> None:
        """Flush and close. Subscriptions are already gone by then, so the drain cannot hang (ADR 0001)."""
        with contextlib.suppress(nats.errors.Error, TimeoutError):
            await self.client.drain()

    async def publish(
        self,
        subject: str,
        message: Message,
        envelope: Envelope,
        *,
        msg_id: str | None = None,
        expected_last: int | None = None,
    ) -> int:
        """Publish and wait for the stream's ack; returns the stream sequence.

        `expected_last` is the last sequence of the subject that must still hold (0: no message yet).
        Raises Conflict, QueueFull, BusUnavailable, PermissionDenied, PayloadTooLarge.
        """
        headers = envelope.headers() | {MSG_ID: msg_id or envelope.id}
        if expected_last is not None:
            headers[EXPECTED_LAST_SUBJECT_SEQUENCE] = str(expected_last)
        return await self.publish_raw(subject, message.to_json(), headers)

    async def schedule(self, subject: str, target: str, at: datetime, message: Message, envelope: Envelope) -> None:
        """Have the server publish the message on `target`, in the same stream, at that time (ADR-51); what is over is
        published at once. A subject holds one schedule: the last. Raises as `publish` does.

        Its message id is fresh each time: deduplication would hide that a timer is to be put again.
        """
        timing = {SCHEDULE: f"@at {at.isoformat()}", SCHEDULE_TARGET: target, MSG_ID: new_id()}
        await self.publish_raw(subject, message.to_json(), envelope.headers() | timing)

    async def publish_raw(
        self, subject: str, data: bytes, headers: dict[str, str], max_bytes: int = MAX_PAYLOAD_BYTES
    ) -> int:
        """As `publish`, for bytes that are already a message."""
        if len(data) > max_bytes:
            raise PayloadTooLarge(f"{len(data)} bytes for {subject}; over {max_bytes} belong in an artifact")
        with telemetry.published(subject, headers):
            ack = await self._guarded(subject, self.jetstream.publish(subject, data, headers=headers))
        return ack.seq

    async def last(self, stream: str, subject: str) -> Stored | None:
        """The last record on a subject, or None, as any replica of the stream knows it.

        In a cluster that may be less than what was acknowledged a moment ago. Whoever decides on it has to write by
        compare-and-set; where nothing is written, or what is missing is an error, ask for the `newest`.
        """
        return (await self.tip(stream, subject)).record

    async def tip(self, stream: str, subject: str, *, history: bool = True) -> Tip:
        """The last record on a subject, and the sequence that an append decided on it has to expect.

        They differ where something foreign came last (ADR 0009). The record behind it is looked for, unless there is
        no history: the stream keeps one message per subject, or this service may read no more than the last.
        """
        reply = await self.request_raw(f"$JS.API.DIRECT.GET.{stream}.{subject}", b"")
        if ends(reply, stream):
            return Tip(0, None)
        found = stored(reply)
        if not self._is_foreign(stream, found):
            return Tip(found.sequence, found)
        return Tip(found.sequence, await self._last_of_all(stream, subject) if history else None)

    async def newest(self, stream: str, subject: str) -> Stored | None:
        """The last record on a subject, or None, as the stream's leader knows it: whatever was acknowledged.

        Takes the right to read the whole stream. A leader that was deposed while it stood still may answer once.
        """
        query = json.dumps({"last_by_subj": subject}).encode()
        answer = json.loads((await self.request_raw(f"$JS.API.STREAM.MSG.GET.{stream}", query)).data)
        error = answer.get("error")
        if error and error.get("err_code") != _NO_MESSAGE:
            raise BusUnavailable(f"{stream} cannot be read: {error.get('description')}")
        found = None if error else unpacked(answer["message"])
        return await self._last_of_all(stream, subject) if found and self._is_foreign(stream, found) else found

    async def _last_of_all(self, stream: str, subject: str) -> Stored | None:
        """By reading everything. A record may have come meanwhile; then an append that expects less conflicts."""
        last: Stored | None = None
        while batch := await self.read(stream, subject, last.sequence if last else 0):
            last = batch[-1]
        return last

    async def read(self, stream: str, subject_filter: str, after: int, limit: int = _READ_BATCH) -> list[Stored]:
        """Up to `limit` records with a sequence greater than `after`, in order; fewer only where there are no more."""
        records: list[Stored] = []
        while len(records) < limit:
            batch = await self._batch(stream, subject_filter, after, limit - len(records))
            genuine = [found for found in batch if not self._is_foreign(stream, found)]
            records += genuine
            if len(genuine) == len(batch):
                break
            after = batch[-1].sequence
        return records

    def _is_foreign(self, stream: str, found: Stored) -> bool:
        reason = found.foreign
        if reason:
            self._tell_foreign(stream, found.subject, found.sequence, reason)
        return reason is not None

    async def _batch(self, stream: str, subject_filter: str, after: int, limit: int) -> list[Stored]:
        """One batched direct get (ADR-31 of NATS), foreign messages included."""
        query = {"seq": after + 1, "next_by_subj": subject_filter, "batch": limit}
        subject = f"$JS.API.DIRECT.GET.{stream}"
        return await self._guarded(subject, self._asked(subject, json.dumps(query).encode(), stream))

    async def _asked(self, subject: str, query: bytes, stream: str) -> list[Stored]:
        inbox = self.client.new_inbox()
        replies: asyncio.Queue[Msg] = asyncio.Queue()
        subscription = await self.client.subscribe(inbox, cb=replies.put)
        try:
            await self.client.publish(subject, query, reply=inbox)
            return await _collect(replies, stream, self.settings.timeout_seconds)
        finally:
            await subscription.unsubscribe()

    async def request_raw(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str] | None = None,
        *,
        timeout_seconds: float | None = None,
    ) -> Msg:
        """One request, one reply, by default in the time that all have. Raises BusUnavailable, PermissionDenied."""
        timeout = timeout_seconds or self.settings.timeout_seconds
        call = self.client.request(subject, data, timeout=timeout, headers=headers)
        return await self._guarded(subject, call)

    async def purge(self, stream: str, subject: str, up_to: int | None = None) -> int:
        """Remove the messages of one subject for good, with `up_to` none of a greater sequence; returns how many.

        Raises BusUnavailable, PermissionDenied, Permanent.
        """
        query = {"filter": subject} if up_to is None else {"filter": subject, "seq": up_to + 1}
        answer = json.loads((await self.request_raw(f"$JS.API.STREAM.PURGE.{stream}", json.dumps(query).encode())).data)
        if error := answer.get("error"):
            raise Permanent(f"{subject} cannot be purged: {error.get('description')}")
        return answer["purged"]

    async def subjects(self, stream: str, subject_filter: str) -> set[str]:
        """The subjects under the filter that have messages. Raises BusUnavailable, PermissionDenied, Permanent."""
        found: set[str] = set()
        while True:  # the server lists so many at a time
            query = {"subjects_filter": subject_filter, "offset": len(found)}
            reply = await self.request_raw(f"$JS.API.STREAM.INFO.{stream}", json.dumps(query).encode())
            answer = json.loads(reply.data)
            if error := answer.get("error"):
                raise Permanent(f"the subjects of {stream} cannot be listed: {error.get('description')}")
            more = set[str](answer["state"].get("subjects") or ())
            if more <= found:
                return found
            found |= more

    async def subscribed(self) -> None:
        """Returns when the server has seen every subscription made so far; before, a message could go unheard.

        Twice, because nats-py's PING overtakes what waits in its buffer: the first round trip empties the buffer, the
        second is then behind it.
        """
        for _ in range(2):
            await self._guarded("", self.client.flush())

    @contextlib.asynccontextmanager
    async def listen(self, subject_filter: str) -> AsyncGenerator[asyncio.Event]:
        """An event that is set whenever something is published under the filter: a hint to read, never the data.

        It may come a moment before the stream has stored the message: who finds nothing must look again by itself.
        """
        changed = asyncio.Event()

        async def wake(_: Msg) -> None:
            changed.set()

        subscription = await self.client.subscribe(subject_filter, cb=wake)
        try:
            await self.subscribed()
            yield changed
        finally:
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def _guarded(self, subject: str, call: Coroutine[Any, Any, T]) -> T:
        """Await a call, turning a permission error (which NATS reports aside) and nats-py's errors into ours."""
        if self.given_up:
            call.close()  # sent now, it would be done later, when nobody waits for it any more
            raise BusUnavailable(f"NATS does not answer: {subject} is not asked")
        try:
            return await self._denied.race(subject, call)
        except nats.js.errors.APIError as error:
            raise _translated(subject, error) from error
        except (nats.errors.Error, TimeoutError, OSError) as error:
            raise BusUnavailable(f"no answer from NATS for {subject}: {error or 'timed out'}") from error


async def _first_connection(client: NatsClient, servers: list[str], settings: BusSettings, denied: Denials) -> None:
    """nats-py retries the first connection for ever when it may reconnect for ever: bound it ourselves."""
    async with asyncio.timeout(settings.timeout_seconds):
        await client.connect(
            servers,
            name=settings.service,
            user=settings.user,
            password=settings.current_password if settings.current_password() else None,
            inbox_prefix=inbox_prefix(settings.service).encode(),
            error_cb=denied.on_error,
            disconnected_cb=client.lost,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=2,
            ping_interval=_PING_SECONDS,
            max_outstanding_pings=_PINGS_UNANSWERED,
            tls_hostname=settings.tls.hostname,
            drain_timeout=3,  # the default of 30 s is a Kubernetes grace period: see ADR 0001
        )


def _translated(subject: str, error: nats.js.errors.APIError) -> Exception:
    if error.err_code in _WRONG_LAST_SEQUENCE:
        return Conflict(f"{subject}: {error.description}")
    if error.err_code in {_MAX_MESSAGES_PER_SUBJECT, _MAX_MESSAGES, _MAX_BYTES}:
        return QueueFull(f"{subject}: {error.description}")
    return BusUnavailable(f"{subject}: {error.description or error}")


async def _collect(replies: asyncio.Queue[Msg], stream: str, patience_seconds: float) -> list[Stored]:
    found: list[Stored] = []
    while True:
        reply = await asyncio.wait_for(replies.get(), patience_seconds)
        if ends(reply, stream):
            return found
        found.append(stored(reply))


def _tell_foreign(stream: str, subject: str, sequence: int, reason: str) -> None:
    log.error("%s seq %d on %s is left out: %s (ADR 0009)", stream, sequence, subject, reason)
    telemetry.foreign(stream)
