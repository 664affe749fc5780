"""Key-value buckets, by the subjects of ADR-8: a write is a publish, a read a direct get.

nats-py's own KeyValue asks for stream information first, which would widen every service's permissions, and its
`get` answers `value=None` for expired keys; this is the small part of it that Worksite needs.
"""

from __future__ import annotations

from dataclasses import dataclass

from worksite.common.bus.connection import Bus, Stored
from worksite.common.bus.envelope import EXPECTED_LAST_SUBJECT_SEQUENCE

_OPERATION = "KV-Operation"
_TTL = "Nats-TTL"
_MARKER = "Nats-Marker-Reason"


@dataclass(frozen=True)
class Entry:
    """A value and the revision that a compare-and-set must name."""

    key: str
    value: bytes
    revision: int


class KeyValue:
    """One bucket."""

    def __init__(self, bus: Bus, bucket: str) -> None:
        self._bus = bus
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."

    async def get(self, key: str) -> Entry | None:
        """The newest value, or None when there is none or it was deleted or has expired."""
        stored = await self._bus.last(self._stream, self._prefix + key)
        return self._entry(stored) if stored else None

    async def create(self, key: str, value: bytes, ttl_seconds: float | None = None) -> int:
        """Write the first value; returns its revision. Raises Conflict when the key exists."""
        stored = await self._bus.last(self._stream, self._prefix + key)
        deleted = stored is not None and self._entry(stored) is None
        return await self._write(key, value, stored.sequence if stored and deleted else 0, ttl_seconds)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Replace the value of that revision; returns the new one. Raises Conflict when somebody else wrote since."""
        return await self._write(key, value, revision, None)

    async def delete(self, key: str, revision: int | None = None) -> None:
        """Leave a delete marker. Raises Conflict when a revision is given and somebody else wrote since."""
        expected = {} if revision is None else {EXPECTED_LAST_SUBJECT_SEQUENCE: str(revision)}
        await self._bus.publish_raw(self._prefix + key, b"", {_OPERATION: "DEL"} | expected)

    async def entries(self, prefix: str | None = None) -> list[Entry]:
        """Every live entry, or those whose key starts with `prefix.`; oldest write first."""
        found: list[Entry] = []
        after = 0
        subjects = f"{self._prefix}{prefix}.>" if prefix else f"{self._prefix}>"
        while batch := await self._bus.read(self._stream, subjects, after):
            found += [entry for stored in batch if (entry := self._entry(stored))]
            after = batch[-1].sequence
        return found

    async def _write(self, key: str, value: bytes, expected: int, ttl_seconds: float | None) -> int:
        headers = {EXPECTED_LAST_SUBJECT_SEQUENCE: str(expected)}
        if ttl_seconds is not None:
            headers[_TTL] = f"{max(1, round(ttl_seconds))}s"
        return await self._bus.publish_raw(self._prefix + key, value, headers)

    def _entry(self, stored: Stored) -> Entry | None:
        if stored.headers.get(_OPERATION) in {"DEL", "PURGE"} or _MARKER in stored.headers:
            return None
        return Entry(stored.subject.removeprefix(self._prefix), stored.data, stored.sequence)
