"""Key-value buckets, by the subjects of ADR-8: a write is a publish, a read a direct get.

nats-py's own KeyValue asks for stream information first, which would widen every service's permissions, and its
`get` answers `value=None` for expired keys; this is the small part of it that Worksite needs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime

from worksite.common.bus.connection import Bus
from worksite.common.bus.envelope import EXPECTED_LAST_SUBJECT_SEQUENCE
from worksite.common.bus.stored import Stored, Tip
from worksite.common.errors import Conflict

_OPERATION = "KV-Operation"
_TTL = "Nats-TTL"
_MARKER = "Nats-Marker-Reason"
_READ_BATCH = 256


@dataclass(frozen=True)
class Entry:
    """A value and the revision that a compare-and-set must name."""

    key: str
    value: bytes
    revision: int
    written_at: datetime


class KeyValue:
    """One bucket."""

    def __init__(self, bus: Bus, bucket: str) -> None:
        self._bus = bus
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."

    async def get(self, key: str) -> Entry | None:
        """The value, or None when there is none or it was deleted or has expired; a replica that lags knows an older
        one (see `Bus.last`)."""
        stored = (await self._tip(key)).record
        return self._entry(stored) if stored else None

    async def newest(self, key: str) -> Entry | None:
        """The same, as the bucket's leader knows it: whatever was acknowledged. Takes the right to read all keys."""
        stored = await self._bus.newest(self._stream, self._prefix + key)
        return self._entry(stored) if stored else None

    async def occupied(self, key: str) -> bool:
        """Is there anything under the key, be it deleted or foreign (ADR 0009)?"""
        return (await self._tip(key)).sequence > 0

    async def create(self, key: str, value: bytes, ttl_seconds: float | None = None) -> int:
        """Write the first value; returns its revision. Raises Conflict when the key exists."""
        try:
            return await self._write(key, value, {}, 0, ttl_seconds)
        except Conflict:
            tip = await self._tip(key)
            if tip.record and self._entry(tip.record):
                raise
            return await self._write(key, value, {}, tip.sequence, ttl_seconds)  # over what is deleted or foreign

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Replace the value of that revision, 0 for none; returns the new one. Raises Conflict when somebody else wrote
        since."""
        if revision == 0:
            return await self.create(key, value)
        return await self._write(key, value, {}, revision, None)

    async def delete(self, key: str, revision: int | None = None, ttl_seconds: float | None = None) -> None:
        """Leave a delete marker, for so long. Raises Conflict when somebody else wrote since the revision, if given."""
        await self._write(key, b"", {_OPERATION: "DEL"}, revision, ttl_seconds)

    async def entries(self, prefix: str | None = None, *, after: int = 0, limit: int | None = None) -> list[Entry]:
        """Live entries, oldest write first: all, or those whose key starts with `prefix.`, of revisions greater than
        `after`, `limit` of them at most."""
        found: list[Entry] = []
        wanted = _READ_BATCH if limit is None else limit
        while wanted > 0 and (batch := await self._bus.read(self._stream, self._below(prefix), after, wanted)):
            found += [entry for stored in batch if (entry := self._entry(stored))]
            after = batch[-1].sequence
            wanted = _READ_BATCH if limit is None else limit - len(found)
        return found

    async def newest_first(self, prefix: str, window: int) -> AsyncGenerator[list[Entry]]:
        """Live entries whose key starts with `prefix.`, newest write first, in batches of _READ_BATCH at most.

        Streams are read forwards, so it steps back by windows of revisions: `window` at first, then twice as many each
        time while they hold little, and half as many where they hold more than a batch, which has to fit into memory.
        What is written meanwhile is not among them; `entries(after=…)` has it.
        """
        high = (await self._bus.tip(self._stream, self._below(prefix), history=False)).sequence
        while high > 0:
            low = max(0, high - window)
            found = await self._between(prefix, low, high)
            if len(found) > _READ_BATCH:
                window = (high - low) // 2
                continue
            yield found[::-1]
            high, window = low, window if 2 * len(found) > _READ_BATCH else window * 2

    async def _between(self, prefix: str, low: int, high: int) -> list[Entry]:
        """Live entries of revisions greater than `low` and not greater than `high`; the oldest of more than a batch."""
        found = await self.entries(prefix, after=low, limit=min(_READ_BATCH + 1, high - low))
        return [entry for entry in found if entry.revision <= high]

    async def _tip(self, key: str) -> Tip:
        return await self._bus.tip(self._stream, self._prefix + key, history=False)

    def _below(self, prefix: str | None) -> str:
        return f"{self._prefix}{prefix}.>" if prefix else f"{self._prefix}>"

    async def _write(
        self, key: str, value: bytes, headers: dict[str, str], expected: int | None, ttl_seconds: float | None
    ) -> int:
        if expected is not None:
            headers[EXPECTED_LAST_SUBJECT_SEQUENCE] = str(expected)
        if ttl_seconds is not None:
            headers[_TTL] = f"{max(1, round(ttl_seconds))}s"
        return await self._bus.publish_raw(self._prefix + key, value, headers)

    def _entry(self, stored: Stored) -> Entry | None:
        if stored.headers.get(_OPERATION) in {"DEL", "PURGE"} or _MARKER in stored.headers:
            return None
        return Entry(stored.subject.removeprefix(self._prefix), stored.data, stored.sequence, stored.time)
