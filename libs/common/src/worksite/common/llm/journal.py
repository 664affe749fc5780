"""The journal of one step: a model call that was completed before a crash is never paid again (DESIGN section 6).

A call has a subject of its own. It is claimed there before it is made (compare-and-set: of two holders of the step only
one makes it), and its reply replaces the claim before anybody uses it. So after a crash everything that was completed
is read, and at most the one call that was claimed and not completed is made, and perhaps paid, again.

Records are read one by one by their subjects, which is all that an agent may do. A replica that lags hides a record;
the claim then conflicts, and the record is read once more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import ValidationError
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Envelope, Stored
from worksite.common.errors import BusUnavailable, Conflict, Fenced, MalformedMessage
from worksite.common.messages import JournalRecord
from worksite.common.subjects import journal_subject

STREAM = "JOURNAL"
_INLINE_BYTES = 40_000
"""Of a body; as JSON within JSON it may take half as much again, and a message holds 64 KB."""
_ATTEMPTS = 10
_MEDIA_TYPE = "application/json"


@dataclass(frozen=True)
class Place:
    """Whose journal it is."""

    tenant: str
    task: str
    service: str
    step: str


@dataclass(frozen=True)
class Found:
    """What the journal knows already."""

    body: str


@dataclass(frozen=True)
class _Slot:
    """Where the next record goes, and what is there: 0, or the claim of a call that nobody completed."""

    number: int
    sequence: int


class Journal:
    """Open it with `load`, then repeat the step: what is known is handed out in order, what is new is written."""

    def __init__(
        self, bus: Bus, artifacts: Artifacts, place: Place, holder: str, holds: Callable[[], Awaitable[bool]]
    ) -> None:
        """`holds`: is the claim on the step still the newest? Asked only when somebody else wrote."""
        self._bus, self._artifacts, self._place = bus, artifacts, place
        self.holder, self._holds = holder, holds
        self._known: list[JournalRecord] = []
        self._index = 0
        self._slot = _Slot(1, 0)
        self.in_doubt = False
        """Was a call begun and not completed by whoever had the step before?"""

    @property
    def position(self) -> int:
        """How many turns this run of the step has had, known and new."""
        return self._index

    async def load(self) -> None:
        """Read what is there. Raises BusUnavailable, MalformedMessage."""
        while found := await self._bus.last(STREAM, self._subject(self._slot.number)):
            record = _parsed(found)
            if record.kind == "call_begun":
                self._slot, self.in_doubt = _Slot(self._slot.number, found.sequence), True
                return
            self._remember(record)

    async def last_call(self) -> Found | None:
        """The last thing that is known, if it is a call: what comes after a reply may not have been done yet."""
        if not self._known or self._known[-1].kind != "call":
            return None
        return Found(await self._body(self._known[-1]))

    def _remember(self, record: JournalRecord) -> None:
        """A record of an earlier place than the last ends the path that led there."""
        self._known = [*self._known[: record.index], record]
        self._slot = _Slot(self._slot.number + 1, 0)

    async def begin(self, digest: str) -> Found | None:
        """The reply to this call, if it was completed; otherwise the call is claimed and is now to be made.

        Raises Fenced, BusUnavailable.
        """
        if known := await self._replayed("call", digest):
            return known
        for _ in range(_ATTEMPTS):
            try:
                await self._write("call_begun", digest, None)
                return None
            except Conflict:
                await self._look_again()
            if known := await self._replayed("call", digest):
                return known
        raise BusUnavailable(f"{self._subject(self._slot.number)} cannot be claimed: others keep writing")

    async def complete(self, digest: str, body: str) -> None:
        """The reply to the call that was begun; from here on it is safe. Raises Fenced, BusUnavailable."""
        await self._append("call", digest, body)

    async def ran(self, digest: str) -> Found | None:
        """The result of this use of a tool, if it is known."""
        return await self._replayed("tool", digest)

    async def record(self, digest: str, body: str) -> None:
        """The result of a tool. Raises Fenced, BusUnavailable."""
        await self._append("tool", digest, body)

    async def _append(self, kind: Literal["call", "tool"], digest: str, body: str) -> None:
        for _ in range(_ATTEMPTS):
            try:
                record = await self._write(kind, digest, body)
                break
            except Conflict:
                before = self._slot.number
                await self._look_again()
                if self._slot.number != before:  # somebody else's counts; start over from it
                    raise BusUnavailable(f"{self._subject(before)} was completed by another holder") from None
        else:
            raise BusUnavailable(f"{self._subject(self._slot.number)} cannot be completed: others keep writing")
        self._remember(record)
        self._index += 1

    def knows(self, digest: str) -> bool:
        """Does the reply to this call stand at this place?"""
        return self._stands("call", digest)

    async def _replayed(self, kind: Literal["call", "tool"], digest: str) -> Found | None:
        """What stands at this place, if the same was asked; otherwise what follows there is of another path."""
        if not self._stands(kind, digest):
            self._known = self._known[: self._index]
            return None
        self._index += 1
        return Found(await self._body(self._known[self._index - 1]))

    def _stands(self, kind: Literal["call", "tool"], digest: str) -> bool:
        here = self._known[self._index : self._index + 1]
        return [(record.kind, record.digest) for record in here] == [(kind, digest)]

    async def _body(self, record: JournalRecord) -> str:
        if record.artifact:
            return (await self._artifacts.get(record.artifact)).decode()
        return record.body or ""

    async def _look_again(self) -> None:
        """After a conflict: go on from what is really there, if the step is still ours."""
        if not await self._holds():
            raise Fenced(f"{self._place.step} of {self._place.task} was taken over")
        found = await self._bus.last(STREAM, self._subject(self._slot.number))
        if found is None or found.sequence <= self._slot.sequence:
            raise BusUnavailable(f"{self._subject(self._slot.number)} was written and cannot be seen yet")
        record = _parsed(found)
        if record.kind == "call_begun":
            self._slot = _Slot(self._slot.number, found.sequence)
        else:
            self._remember(record)

    async def _write(self, kind: Literal["call_begun", "call", "tool"], digest: str, body: str | None) -> JournalRecord:
        place, large = self._place, body is not None and len(body.encode()) > _INLINE_BYTES
        artifact = await self._artifacts.put(body.encode(), _MEDIA_TYPE) if body is not None and large else None
        record = JournalRecord(
            task=place.task,
            tenant=place.tenant,
            step=place.step,
            index=self._index,
            kind=kind,
            digest=digest,
            holder=self.holder,
            body=None if large else body,
            artifact=artifact,
        )
        envelope = Envelope(record.ce_type(), place.service, place.tenant, place.task)
        subject, expected = self._subject(self._slot.number), self._slot.sequence
        sequence = await self._bus.publish(subject, record, envelope, expected_last=expected)
        self._slot = _Slot(self._slot.number, sequence)
        return record

    def _subject(self, number: int) -> str:
        place = self._place
        return journal_subject(place.tenant, place.task, place.service, place.step, number)


async def under_way(bus: Bus, place: Place) -> datetime | None:
    """Since when the first call of a step has been under way: claimed, and not completed. By the server's clock.

    For who is not told by the ledger whether the claim's holder is gone. Raises BusUnavailable, MalformedMessage.
    """
    found = await bus.last(STREAM, journal_subject(place.tenant, place.task, place.service, place.step, 1))
    return found.time if found and _parsed(found).kind == "call_begun" else None


def _parsed(found: Stored) -> JournalRecord:
    try:
        return JournalRecord.consume(found.data)
    except ValidationError as error:
        raise MalformedMessage(f"{found.subject} cannot be read: {error}") from error
