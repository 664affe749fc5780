"""Immutable blobs named by their SHA-256, in the object store `artifacts`.

The layout is NATS's own (ADR-20), so `nats object` shows it. Reads are bounded direct gets instead of nats-py's ordered
consumer, which waits for ever for a chunk that is gone and needs rights that no service should have.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError
from worksite.common import subjects
from worksite.common.bus import Bus
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, PayloadTooLarge
from worksite.common.ids import new_id
from worksite.common.messages import ArtifactRef, Message, Model

MAX_ARTIFACT_BYTES = 512 << 20
"""A blob is held in memory while it is stored or read."""
_STREAM = f"OBJ_{subjects.ARTIFACTS}"
_CHUNK_BYTES = 64 * 1024
_CHUNKS_PER_READ = 64
_RENEWED_AFTER = timedelta(seconds=subjects.ARTIFACTS_MAX_AGE_SECONDS / 2)
_ROLLUP = {"Nats-Rollup": "sub"}


class _ObjectInfo(Model):
    """The metadata message of ADR-20."""

    name: str
    bucket: str
    nuid: str
    size: int
    chunks: int
    digest: str
    mtime: str


class Artifacts:
    """Puts only what is absent; gets only what still has its hash."""

    def __init__(self, bus: Bus, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._bus = bus
        self._now = now

    async def put(self, data: bytes, media_type: str) -> ArtifactRef:
        """Store a blob; storing it twice is the same as once. Raises BusUnavailable, QueueFull, PayloadTooLarge.

        A copy past half its retention is stored anew, so that nothing expires while somebody has just put it.
        """
        if len(data) > MAX_ARTIFACT_BYTES:
            raise PayloadTooLarge(f"{len(data)} bytes: an artifact holds at most {MAX_ARTIFACT_BYTES}")
        digest = await asyncio.to_thread(hashlib.sha256, data)
        ref = ArtifactRef(sha256=digest.hexdigest(), size=len(data), media_type=media_type)
        stored = await self._bus.last(_STREAM, _meta_subject(ref.sha256))
        if stored is None or self._now() - stored.time > _RENEWED_AFTER:
            await self._store(ref, data, base64.urlsafe_b64encode(digest.digest()).decode())
        return ref

    async def put_message(self, message: Message) -> ArtifactRef:
        """Store a typed document, e.g. a Spec."""
        return await self.put(message.to_json(), "application/json")

    async def get(self, ref: ArtifactRef) -> bytes:
        """Raises ArtifactMissing, ArtifactCorrupt, BusUnavailable."""
        stored = await self._bus.last(_STREAM, _meta_subject(ref.sha256))
        if stored is None:
            raise ArtifactMissing(f"no artifact {ref.sha256}; it may have expired")
        try:
            info = _ObjectInfo.model_validate_json(stored.data, extra="ignore")
        except ValidationError as error:
            raise ArtifactCorrupt(f"the metadata of artifact {ref.sha256} cannot be read") from error
        data = await self._chunks(info.nuid, info.size)
        if len(data) < info.size:
            raise ArtifactMissing(f"artifact {ref.sha256}: {len(data)} of {info.size} bytes are still there")
        if (await asyncio.to_thread(hashlib.sha256, data)).hexdigest() != ref.sha256:
            raise ArtifactCorrupt(f"artifact {ref.sha256} does not have its hash")
        return data

    async def _store(self, ref: ArtifactRef, data: bytes, digest: str) -> None:
        nuid, offsets = new_id(), range(0, len(data), _CHUNK_BYTES)
        for offset in offsets:
            await self._bus.publish_raw(_chunk_subject(nuid), data[offset : offset + _CHUNK_BYTES], {})
        info = _ObjectInfo(
            name=ref.sha256,
            bucket=subjects.ARTIFACTS,
            nuid=nuid,
            size=len(data),
            chunks=len(offsets),
            digest=f"SHA-256={digest}",
            mtime=self._now().isoformat(),
        )
        await self._bus.publish_raw(_meta_subject(ref.sha256), info.model_dump_json().encode(), dict(_ROLLUP))

    async def _chunks(self, nuid: str, size: int) -> bytes:
        data, after = bytearray(), 0
        while len(data) < size:
            batch = await self._bus.read(_STREAM, _chunk_subject(nuid), after, _CHUNKS_PER_READ)
            if not batch:
                break
            data += b"".join(stored.data for stored in batch)
            after = batch[-1].sequence
        return bytes(data)


def _meta_subject(name: str) -> str:
    return f"$O.{subjects.ARTIFACTS}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _chunk_subject(nuid: str) -> str:
    return f"$O.{subjects.ARTIFACTS}.C.{nuid}"
