"""Immutable blobs named by their SHA-256, in the object store `artifacts`."""

from __future__ import annotations

import hashlib

import nats.errors
import nats.js.errors
from nats.js.object_store import ObjectStore
from worksite.common import subjects
from worksite.common.bus import Bus
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, BusUnavailable
from worksite.common.messages import ArtifactRef, Message

MAX_ARTIFACT_BYTES = 512 * 1024 * 1024


class Artifacts:
    """Puts only what is absent; gets only what still has its hash."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def put(self, data: bytes, media_type: str) -> ArtifactRef:
        """Store a blob; storing it twice is the same as once. Raises BusUnavailable."""
        ref = ArtifactRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data), media_type=media_type)
        store = await self._store()
        try:
            if not await _present(store, ref.sha256):
                await store.put(ref.sha256, data)
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailable(f"artifact {ref.sha256[:12]} could not be stored: {error}") from error
        return ref

    async def put_message(self, message: Message) -> ArtifactRef:
        """Store a typed document, e.g. a Spec."""
        return await self.put(message.to_json(), "application/json")

    async def get(self, ref: ArtifactRef) -> bytes:
        """Raises ArtifactMissing, ArtifactCorrupt, BusUnavailable."""
        store = await self._store()
        try:
            data = (await store.get(ref.sha256)).data or b""
        except nats.js.errors.NotFoundError as error:
            raise ArtifactMissing(f"no artifact {ref.sha256}; it may have expired") from error
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailable(f"artifact {ref.sha256[:12]} could not be read: {error}") from error
        if hashlib.sha256(data).hexdigest() != ref.sha256:
            raise ArtifactCorrupt(f"artifact {ref.sha256} does not have its hash")
        return data

    async def _store(self) -> ObjectStore:
        try:
            return await self._bus.jetstream.object_store(subjects.ARTIFACTS)
        except (nats.errors.Error, TimeoutError) as error:
            raise BusUnavailable(f"the artifact store does not answer: {error}") from error


async def _present(store: ObjectStore, name: str) -> bool:
    try:
        await store.get_info(name)
    except nats.js.errors.NotFoundError:
        return False
    return True
