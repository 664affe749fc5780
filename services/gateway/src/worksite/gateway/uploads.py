"""Take an archive in: counted while it streams to disk, stored under its hash, then put on the tenant's list.

What is in an archive is not looked at here beyond its first bytes: only the builder opens what a client uploaded.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import Conflict, QueueFull
from worksite.common.messages import ArtifactRef
from worksite.gateway import problems
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.uploads import FORMATS, Upload, mismatch
from worksite.gateway.places import Places
from worksite.gateway.rows import readable

MOST_SECONDS = 600.0
"""An upload that takes longer is cut off: whoever sends a byte now and then must not keep a place for ever."""
_BLOCK_BYTES = 256 * 1024
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


class UploadRecords:
    """The tenants' lists. Keys are `<tenant>.<sha256>`: nobody can name an upload of another tenant."""

    def __init__(self, bus: Bus) -> None:
        self._store = KeyValue(bus, subjects.UPLOADS)

    async def get(self, tenant: str, upload: str) -> Upload | None:
        """None for what was never uploaded or has expired. Raises BusUnavailable."""
        key = f"{tenant}.{upload}"
        found = await self._store.get(key) or await self._store.newest(key)
        return readable(Upload, found) if found else None

    async def all(self, tenant: str) -> list[Upload]:
        """What has not expired. Raises BusUnavailable."""
        return [upload for found in await self._store.entries(tenant) if (upload := readable(Upload, found))]

    async def put(self, tenant: str, upload: Upload) -> bool:
        """Begin or renew its time; True when it was not on the list. Raises BusUnavailable, QueueFull."""
        key = f"{tenant}.{upload.sha256}"
        found = await self._store.get(key)
        with contextlib.suppress(Conflict):  # somebody has just put the same content: theirs is as good
            await self._store.update(key, upload.model_dump_json().encode(), found.revision if found else 0)
            return found is None
        return False


class Uploads:
    """Receives archives into `folder`, which holds only what is under way."""

    def __init__(
        self,
        bus: Bus,
        artifacts: Artifacts,
        folder: Path,
        places: Places,
        max_bytes_per_tenant: int,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.records = UploadRecords(bus)
        self._artifacts = artifacts
        self._folder = folder
        self._places = places
        self._max_bytes_per_tenant = max_bytes_per_tenant
        self._now = now

    async def take(self, caller: Principal, media_type: str, body: AsyncIterator[bytes]) -> tuple[Upload, bool]:
        """Store the archive and list it; True when the tenant did not have it yet. Raises problems, BusUnavailable.

        Whatever fails on the way, the same upload again goes on: the archive is stored before it is listed.
        """
        with self._places.take(caller.tenant):
            try:
                stored = await self._stored(caller.tenant, media_type, body)
                upload = self._record(caller, stored)
                return upload, await self.records.put(caller.tenant, upload)
            except QueueFull as error:
                raise problems.storage_full() from error

    async def _stored(self, tenant: str, media_type: str, body: AsyncIterator[bytes]) -> ArtifactRef:
        with tempfile.NamedTemporaryFile(dir=self._folder, buffering=0) as file:  # unbuffered: closing cannot fail
            await _received(body, file.file, media_type)
            await self._check_room(tenant, Path(file.name))
            return await self._artifacts.put_file(Path(file.name), media_type)

    async def _check_room(self, tenant: str, file: Path) -> None:
        """One tenant must not fill the store that the tasks of all need. Raises a 507 problem.

        Uploads that end at the same moment may together be more by one archive each.
        """
        listed = {upload.sha256: upload.size for upload in await self.records.all(tenant)}
        size = (await asyncio.to_thread(file.stat)).st_size
        if sum(listed.values()) + size <= self._max_bytes_per_tenant:
            return
        if await asyncio.to_thread(_sha256, file) not in listed:
            raise problems.uploads_full(self._max_bytes_per_tenant)

    def _record(self, caller: Principal, stored: ArtifactRef) -> Upload:
        return Upload(
            sha256=stored.sha256,
            size=stored.size,
            media_type=stored.media_type,
            format=FORMATS[stored.media_type],
            principal=caller.subject,
            uploaded_at=self._now(),
        )


def emptied(folder: Path) -> Path:
    """The folder with nothing in it: what a killed process left behind is of no use to anybody. Raises OSError."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder


async def _received(body: AsyncIterator[bytes], file: IO[bytes], media_type: str) -> None:
    """Write the body block by block; what is not what it says is refused with its first block."""
    try:
        async with asyncio.timeout(MOST_SECONDS):
            blocks = _blocks(body)
            first = await anext(blocks, b"")
            if reason := mismatch(media_type, first):
                raise problems.not_that_archive(reason)
            await asyncio.to_thread(_write, file, first)
            async for block in blocks:
                await asyncio.to_thread(_write, file, block)
    except TimeoutError:
        raise problems.too_slow(MOST_SECONDS) from None
    except OSError as error:
        if error.errno in _DISK_FULL:
            raise problems.storage_full() from error
        raise


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(file: IO[bytes], block: bytes) -> None:
    """The whole block: an unbuffered file may take less at a time."""
    rest = memoryview(block)
    while rest:
        rest = rest[file.write(rest) :]


async def _blocks(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same bytes in fewer parts: each is a hop to a thread."""
    block = bytearray()
    async for part in body:
        block += part
        if len(block) >= _BLOCK_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)
