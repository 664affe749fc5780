"""The collections of a Qdrant server that are indexes of one name; each keeps its manifest as its metadata."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from dataclasses import replace
from http import HTTPStatus

from qdrant_client import AsyncQdrantClient
from qdrant_client.http.exceptions import ApiException, UnexpectedResponse
from worksite.rag.domain.identity import Manifest
from worksite.rag.store import StoreError
from worksite.rag.stores.manifests import manifest_from, manifest_to
from worksite.rag.stores.server import ServerStore, open_server_store


class ServerIndexes:
    """Closes the client with itself."""

    def __init__(self, client: AsyncQdrantClient, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._of_ours = re.compile(re.escape(collection) + r"-([0-9a-f]{16})")

    async def manifests(self) -> list[Manifest]:
        """Raises StoreError where the server cannot be used."""
        try:
            found = [await self._manifest(name, digest) async for name, digest in self._indexes()]
        except ApiException as error:
            raise StoreError(f"QDRANT_HOST: the server cannot be used: {error}") from error
        return [manifest for manifest in found if manifest]

    async def _manifest(self, name: str, digest: str) -> Manifest | None:
        try:
            return manifest_from(await self._metadata(name), digest)
        except UnexpectedResponse as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            return None  # another replica has removed it since it was listed

    async def open(self, manifest: Manifest) -> ServerStore:
        store = await open_server_store(self._client, self._collection, manifest.digest, manifest.dimensions)
        if not await self._metadata(self._name(manifest)):
            await self.note(replace(manifest, complete=False))
        return store

    async def note(self, manifest: Manifest) -> None:
        await self._client.update_collection(self._name(manifest), metadata=manifest_to(manifest))

    async def retire_all_but(self, manifest: Manifest) -> None:
        async for name, digest in self._indexes():
            if digest != manifest.digest:
                await self._client.delete_collection(name)

    async def aclose(self) -> None:
        await self._client.close()

    def _name(self, manifest: Manifest) -> str:
        return f"{self._collection}-{manifest.digest}"

    async def _metadata(self, name: str) -> dict[str, object]:
        return dict((await self._client.get_collection(name)).config.metadata or {})

    async def _indexes(self) -> AsyncGenerator[tuple[str, str]]:
        for collection in (await self._client.get_collections()).collections:
            if matched := self._of_ours.fullmatch(collection.name):
                yield collection.name, matched[1]
