"""Immutable blobs named by their SHA-256, in an object store.

The layout is NATS's own (ADR-20), so `nats object` shows it. Reads are bounded direct gets instead of nats-py's ordered
consumer, which waits for ever for a chunk that is gone and needs rights that no service should have.

A blob that is put while a collector removes it is not lost: the collector removes exactly the version of the metadata
that it judged, or nothing; whoever puts a blob that is there renews the metadata by compare-and-set, so that either the
renewal or the removal happens, and after a removal writes the whole blob anew, in pieces of another name.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator, Callable, Container
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import Field, ValidationError
from worksite.common import subjects
from worksite.common.bus import Bus, Stored
from worksite.common.bus.envelope import EXPECTED_LAST_SUBJECT_SEQUENCE
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, BusUnavailable, Conflict, PayloadTooLarge
from worksite.common.ids import new_id
from worksite.common.messages import ArtifactRef, Message, Model

log = logging.getLogger(__name__)

MAX_ARTIFACT_BYTES = 512 << 20
"""A blob is held in memory while it is stored or read."""
_CHUNK_BYTES = 64 * 1024
_CHUNKS_PER_READ = 64
_RENEWALS = 3
"""Tries, which fail while others renew or remove, or a replica lags; then it is stored anew, which is never wrong."""
_ROLLUP = {"Nats-Rollup": "sub"}


class _ObjectInfo(Model):
    """The metadata message of ADR-20."""

    name: str
    bucket: str
    nuid: str = Field(pattern=r"^[0-9A-Za-z]+$", description="no wildcard: what it names is removed with the blob")
    size: int = Field(ge=0, le=MAX_ARTIFACT_BYTES)
    chunks: int
    digest: str
    mtime: str


@dataclass(frozen=True)
class Removed:
    """What a collector removed."""

    blobs: int = 0
    bytes: int = 0


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
        """Store a blob; one that is there is renewed instead. Raises BusUnavailable, QueueFull, PayloadTooLarge."""
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

    async def remove_all_but(self, kept: Container[str], before: datetime) -> Removed:
        """Remove the blobs put before that time whose hash is not kept. As `remove` otherwise, but that a blob may be
        put again at any moment: it is then there.

        What was left of a blob when its storing or removal was cut off before that time goes as well, uncounted, and
        so does metadata that nobody can read. Pieces go when no metadata speaks of them, whoever else claimed them.
        """
        pieces = await self._bus.subjects(self._stream, self._chunk_subject("*"))
        unseen = await self._bus.subjects(self._stream, f"$O.{self._store}.M.*")
        blobs = size = after = 0
        while batch := await self._bus.read(self._stream, f"$O.{self._store}.M.>", after):
            after = batch[-1].sequence
            for stored in batch:
                unseen.discard(stored.subject)
                info = self._readable(stored)
                wanted = stored.time >= before or (info and info.name in kept)
                if wanted or not await self._removed(stored):
                    pieces.discard(self._chunk_subject(info.nuid) if info else "")
                elif info:
                    blobs, size = blobs + 1, size + info.size
        await self._remove_cut_off(pieces - await self._in_use(unseen), before)
        return Removed(blobs, size)

    async def _in_use(self, unseen: set[str]) -> set[str]:
        """The pieces of metadata that was listed and not read: removed by another, or renewed, of which a replica that
        lags knows neither place. The leader does."""
        found = [await self._bus.newest(self._stream, subject) for subject in unseen]
        infos = [self._readable(stored) for stored in found if stored]
        return {self._chunk_subject(info.nuid) for info in infos if info}

    async def _remove_cut_off(self, pieces: set[str], before: datetime) -> None:
        """Listed before the metadata, which is written last: whatever has none was cut off, if it is old enough."""
        for subject in pieces:
            piece = await self._bus.last(self._stream, subject)
            if piece and piece.time < before:
                await self._bus.purge(self._stream, subject)

    async def _remove(self, info: _ObjectInfo) -> None:
        """The metadata last: a removal that was cut off can be found and repeated."""
        await self._bus.purge(self._stream, self._chunk_subject(info.nuid))
        await self._bus.purge(self._stream, self._meta_subject(info.name))

    async def _removed(self, stored: Stored) -> bool:
        """False when it was renewed or removed since it was read."""
        return await self._bus.purge(self._stream, stored.subject, up_to=stored.sequence) > 0

    async def _put(self, digest: bytes, size: int, media_type: str, parts: AsyncIterator[bytes]) -> ArtifactRef:
        ref = ArtifactRef(sha256=digest.hex(), size=size, media_type=media_type)
        subject = self._meta_subject(ref.sha256)
        for _ in range(_RENEWALS):
            tip = await self._bus.tip(self._stream, subject)
            if tip.record is None or not self._describes(tip.record, ref):
                break
            if await self._renewed(tip.record, tip.sequence):
                return ref
        await self._write(ref, base64.urlsafe_b64encode(digest).decode(), parts)
        return ref

    async def _renewed(self, stored: Stored, expected_last: int) -> bool:
        """As if it had just been put, to every collector. False when it was removed or renewed a moment ago."""
        headers = _ROLLUP | {EXPECTED_LAST_SUBJECT_SEQUENCE: str(expected_last)}
        try:
            await self._bus.publish_raw(stored.subject, stored.data, headers)
        except Conflict:
            return False
        return True

    async def _info(self, sha256: str) -> _ObjectInfo:
        subject = self._meta_subject(sha256)
        stored = await self._bus.last(self._stream, subject) or await self._bus.newest(self._stream, subject)
        if stored is None:
            raise ArtifactMissing(f"no artifact {sha256}; it may have expired")
        return self._info_of(stored)

    def _info_of(self, stored: Stored) -> _ObjectInfo:
        try:
            info = _ObjectInfo.model_validate_json(stored.data, extra="ignore")
        except ValidationError as error:
            raise ArtifactCorrupt(f"the metadata on {stored.subject} cannot be read") from error
        if stored.subject != self._meta_subject(info.name):
            raise ArtifactCorrupt(f"the metadata on {stored.subject} speaks of something else")
        return info

    def _readable(self, stored: Stored) -> _ObjectInfo | None:
        try:
            return self._info_of(stored)
        except ArtifactCorrupt as error:
            log.error("%s", error)
            return None

    def _describes(self, stored: Stored, ref: ArtifactRef) -> bool:
        """Is it the metadata of this blob? What is not (also the marker of `nats object rm`) is written over."""
        info = self._readable(stored)
        return info is not None and info.size == ref.size

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
                await self._check_all_seen(nuid, after)
                break
            data += b"".join(stored.data for stored in batch)
            after = batch[-1].sequence
        return bytes(data)

    async def _check_all_seen(self, nuid: str, after: int) -> None:
        """Raises BusUnavailable when there are more chunks, and the replica that was asked does not know them yet."""
        newest = await self._bus.newest(self._stream, self._chunk_subject(nuid))
        if newest and newest.sequence > after:
            raise BusUnavailable(f"a replica of {self._stream} lags")

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
