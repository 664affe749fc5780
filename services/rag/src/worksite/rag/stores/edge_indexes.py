"""The shards of one collection: a folder for each fingerprint, its manifest beside it, one owner for all of them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TextIO

from worksite.rag.domain.identity import Manifest
from worksite.rag.stores.edge import EdgeStore, open_edge_store, own_folder, read_edge_store
from worksite.rag.stores.manifests import manifest_file, manifest_from, manifest_to

_OF_AN_INDEX = re.compile(r"([0-9a-f]{16})(\.json)?|restoring|replaced")
"""What may be in the folder and go when an index replaces the others, leftovers of a killed restore included."""


class EdgeIndexes:
    """Owns a collection's folder until it is closed."""

    def __init__(self, collection: Path) -> None:
        """Raises StoreError while another process owns the folder."""
        self._collection = collection
        self._lock = own_folder(collection)

    async def manifests(self) -> list[Manifest]:
        return await asyncio.to_thread(self._manifests)

    def _manifests(self) -> list[Manifest]:
        found: list[Manifest] = []
        for file in sorted(self._collection.glob("*.json")):
            try:
                stored = json.loads(file.read_bytes())
            except (OSError, ValueError):
                stored = {}
            if file.with_suffix("").is_dir() and (manifest := manifest_from(stored, file.stem)):
                found.append(manifest)
        return found

    async def open(self, manifest: Manifest) -> EdgeStore:
        lock = self._shared_lock()
        store = await asyncio.to_thread(open_edge_store, self._collection, manifest.digest, manifest.dimensions, lock)
        if not manifest_file(self._collection / manifest.digest).exists():
            await self.note(replace(manifest, complete=False))  # whatever was known of it went with the shard
        return store

    async def read(self, manifest: Manifest) -> EdgeStore:
        """Open an index that is there. Raises StoreError for one that cannot be read, which stays as it is."""
        return await asyncio.to_thread(read_edge_store, self._collection / manifest.digest, self._shared_lock())

    def _shared_lock(self) -> TextIO:
        """A lock on an open file is shared by its duplicates and ends with the last of them."""
        return os.fdopen(os.dup(self._lock.fileno()), "a+")

    async def note(self, manifest: Manifest) -> None:
        await asyncio.to_thread(_replace, manifest_file(self._collection / manifest.digest), manifest)

    async def retire_all_but(self, manifest: Manifest) -> None:
        await asyncio.to_thread(self._retire_all_but, manifest.digest)

    def _retire_all_but(self, kept: str) -> None:
        for path in self._collection.iterdir():
            matched = _OF_AN_INDEX.fullmatch(path.name)
            if not matched or matched[1] == kept:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()

    def staging(self) -> Path:
        """An empty folder on the same disk, for an index that is to replace all others."""
        staging = self._collection / "restoring"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        return staging

    def replace_all(self, shard: Path, manifest: Manifest) -> None:
        """Put a shard, with its manifest, in the place of all indexes there are, which must be closed.

        A kill in between costs no more than making an index anew, from embeddings that are remembered.
        """
        replaced = self._collection / "replaced"
        shutil.rmtree(replaced, ignore_errors=True)
        replaced.mkdir()
        for path in self._indexes():
            path.rename(replaced / path.name)
        target = self._collection / manifest.digest
        try:
            shard.rename(target)
            _replace(manifest_file(target), manifest)
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
            for path in replaced.iterdir():
                path.rename(self._collection / path.name)
            raise
        shutil.rmtree(replaced)

    def _indexes(self) -> list[Path]:
        """All shards and manifests."""
        matched = [(path, _OF_AN_INDEX.fullmatch(path.name)) for path in self._collection.iterdir()]
        return [path for path, match in matched if match and match[1]]

    async def aclose(self) -> None:
        self._lock.close()


def _replace(file: Path, manifest: Manifest) -> None:
    new = file.with_suffix(".new")
    with new.open("w") as opened:
        json.dump(manifest_to(manifest), opened)
        opened.flush()
        os.fsync(opened.fileno())
    new.replace(file)
