"""Immutable blobs named by their SHA-256, in an object store.

The layout is NATS's own (ADR-20), so `nats object` shows it. Reads are bounded direct gets instead of nats-py's ordered
consumer, which waits for ever for a chunk that is gone and needs rights that no service should have.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Container
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

from pydantic import ValidationError
from worksite.common import subjects
from worksite.common.bus import Bus, Stored
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, PayloadTooLarge
from worksite.common.ids import id_at, new_id
from worksite.common.messages import ArtifactRef, Message, Model

MAX_ARTIFACT_BYTES = 512 << 20
"""A blob is held in memory while it is stored or read."""
_CHUNK_BYTES = 64 * 1024
_CHUNKS_PER_READ = 64
_MAX_AGE_SECONDS = {spec.name: spec.max_age_seconds for spec in subjects.OBJECT_STORES}
_NUID = re.compile(r"[0-9a-f]{32}")
"""As we name the pieces of a blob: by an id that bears the time."""
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

    def __init__(
        self, bus: Bus, now: Callable[[], datetime] = lambda: datetime.now(UTC), store: str = subjects.ARTIFACTS
    ) -> None:
        self._bus = bus
        self._now = now
        self._store = store
        self._stream = f"OBJ_{store}"

    async def put(self, data: bytes, media_type: str) -> ArtifactRef:
        """Store a blob; storing it twice is the same as once. Raises BusUnavailable, QueueFull, PayloadTooLarge.

        A copy past half its retention is stored anew, so that nothing expires while somebody has just put it.
        """
        if len(data) > MAX_ARTIFACT_BYTES:
            raise PayloadTooLarge(f"{len(data)} bytes: an artifact holds at most {MAX_ARTIFACT_BYTES}")
        digest = (await asyncio.to_thread(hashlib.sha256, data)).digest()
        return await self._put(digest, len(data), media_type, _parts_of(data))

    async def put_file(self, path: Path, media_type: str) -> ArtifactRef:
        """The same for a file, which is never held in memory as a whole."""
        with path.open("rb") as file:
            digest = (await asyncio.to_thread(hashlib.file_digest, file, "sha256")).digest()
            size = file.tell()
            if size > MAX_ARTIFACT_BYTES:
                raise PayloadTooLarge(f"{size} bytes: an artifact holds at most {MAX_ARTIFACT_BYTES}")
            file.seek(0)
            return await self._put(digest, size, media_type, _parts_of_file(file))

    async def put_message(self, message: Message) -> ArtifactRef:
        """Store a typed document, e.g. a Spec."""
        return await self.put(message.to_json(), "application/json")

    async def get(self, ref: ArtifactRef) -> bytes:
        """Raises ArtifactMissing, ArtifactCorrupt, BusUnavailable."""
        info = await self._info(ref.sha256)
        data = await self._chunks(info.nuid, info.size)
        if len(data) < info.size:
            raise ArtifactMissing(f"artifact {ref.sha256}: {len(data)} of {info.size} bytes are still there")
        if (await asyncio.to_thread(hashlib.sha256, data)).hexdigest() != ref.sha256:
            raise ArtifactCorrupt(f"artifact {ref.sha256} does not have its hash")
        return data

    async def remove(self, ref: ArtifactRef) -> None:
        """Remove a blob for good, if it is there; only for who may purge the store. Raises BusUnavailable.

        Only for blobs that nobody may be putting again: put would find one whose removal has begun.
        """
        try:
            info = await self._info(ref.sha256)
        except ArtifactMissing:
            return
        await self._remove(info)

    async def remove_all_but(self, kept: Container[str], before: datetime) -> int:
        """Remove the blobs stored before that time whose hash is not kept; returns how many. As `remove` otherwise.

        What was left of a blob when its storing was cut off before that time goes as well, uncounted.
        """
        pieces = await self._bus.subjects(self._stream, self._chunk_subject("*"))
        removed = after = 0
        while batch := await self._bus.read(self._stream, f"$O.{self._store}.M.>", after):
            after = batch[-1].sequence
            for stored, info in [(stored, self._info_of(stored)) for stored in batch]:
                pieces.discard(self._chunk_subject(info.nuid))
                if stored.time < before and info.name not in kept:
                    await self._remove(info)
                    removed += 1
        for subject in pieces:  # listed before the metadata, which is written last: whatever has none was cut off
            if _NUID.fullmatch(nuid := subject.rpartition(".")[2]) and nuid < id_at(before):
                await self._bus.purge(self._stream, subject)
        return removed

    async def _remove(self, info: _ObjectInfo) -> None:
        """The metadata last: a removal that was cut off can be found and repeated."""
        await self._bus.purge(self._stream, self._chunk_subject(info.nuid))
        await self._bus.purge(self._stream, self._meta_subject(info.name))

    async def _put(self, digest: bytes, size: int, media_type: str, parts: AsyncIterator[bytes]) -> ArtifactRef:
        ref = ArtifactRef(sha256=digest.hex(), size=size, media_type=media_type)
        stored = await self._bus.last(self._stream, self._meta_subject(ref.sha256))
        if stored is None or self._is_old(stored.time):
            await self._write(ref, base64.urlsafe_b64encode(digest).decode(), parts)
        return ref

    def _is_old(self, stored: datetime) -> bool:
        max_age = _MAX_AGE_SECONDS[self._store]
        return max_age != subjects.FOR_EVER and self._now() - stored > timedelta(seconds=max_age / 2)

    async def _info(self, sha256: str) -> _ObjectInfo:
        stored = await self._bus.last(self._stream, self._meta_subject(sha256))
        if stored is None:
            raise ArtifactMissing(f"no artifact {sha256}; it may have expired")
        return self._info_of(stored)

    def _info_of(self, stored: Stored) -> _ObjectInfo:
        try:
            return _ObjectInfo.model_validate_json(stored.data, extra="ignore")
        except ValidationError as error:
            raise ArtifactCorrupt(f"the metadata on {stored.subject} cannot be read") from error

    async def _write(self, ref: ArtifactRef, digest: str, parts: AsyncIterator[bytes]) -> None:
        nuid, chunks = new_id(), 0
        async for part in parts:
            await self._bus.publish_raw(self._chunk_subject(nuid), part, {})
            chunks += 1
        info = _ObjectInfo(
            name=ref.sha256,
            bucket=self._store,
            nuid=nuid,
            size=ref.size,
            chunks=chunks,
            digest=f"SHA-256={digest}",
            mtime=self._now().isoformat(),
        )
        await self._bus.publish_raw(self._meta_subject(ref.sha256), info.model_dump_json().encode(), dict(_ROLLUP))

    async def _chunks(self, nuid: str, size: int) -> bytes:
        data, after = bytearray(), 0
        while len(data) < size:
            batch = await self._bus.read(self._stream, self._chunk_subject(nuid), after, _CHUNKS_PER_READ)
            if not batch:
                break
            data += b"".join(stored.data for stored in batch)
            after = batch[-1].sequence
        return bytes(data)

    def _meta_subject(self, name: str) -> str:
        return f"$O.{self._store}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"

    def _chunk_subject(self, nuid: str) -> str:
        return f"$O.{self._store}.C.{nuid}"


async def _parts_of(data: bytes) -> AsyncIterator[bytes]:
    for offset in range(0, len(data), _CHUNK_BYTES):
        yield data[offset : offset + _CHUNK_BYTES]


async def _parts_of_file(file: BinaryIO) -> AsyncIterator[bytes]:
    while part := await asyncio.to_thread(file.read, _CHUNK_BYTES):
        yield part
