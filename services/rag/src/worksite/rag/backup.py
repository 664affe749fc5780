"""`python -m worksite.rag.backup create|restore FILE`: the embedded index and the remembered embeddings, as one file.

While the service runs it owns the index, and this refuses. What tenants sent is not part of it: their texts are on the
bus. So after a restore the service compares the index with rows and folders, as at every start.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path

from worksite.common import settings as settings_module
from worksite.common.settings import SettingsError
from worksite.rag.archive import ArchiveError, unpack_archive, write_archive
from worksite.rag.domain.identity import Manifest
from worksite.rag.embedding_cache import copy_embeddings, merge_embeddings
from worksite.rag.settings import EMBEDDINGS, RagSettings
from worksite.rag.store import StoreError
from worksite.rag.stores.edge_indexes import EdgeIndexes
from worksite.rag.stores.manifests import manifest_from, manifest_to

CANNOT = 2
_INDEX = "index"


async def create(settings: RagSettings, archive: Path) -> str:
    """Write a backup; returns what is in it, in words. Raises StoreError, ArchiveError."""
    collection = _collection(settings)
    if not collection.is_dir():
        raise ArchiveError(f"there is no index in {collection}")
    async with aclosing(EdgeIndexes(collection)) as indexes:
        manifest = next((one for one in await indexes.manifests() if one.complete), None)
        if manifest is None:
            raise ArchiveError(f"no index in {collection} is complete: start the service, and stop it once it is ready")
        try:
            chunks = await _chunks(indexes, manifest)
        except StoreError as error:
            raise ArchiveError(f"{error}. Restore a backup, or start the service, which makes it anew") from error
        about = {"index": manifest_to(manifest), "digest": manifest.digest, "chunks": chunks}
        await asyncio.to_thread(_write, settings, collection / manifest.digest, archive, about)
    return f"{chunks} chunks in {archive}"


async def restore(settings: RagSettings, archive: Path) -> str:
    """Put a backup in the place of what there is, once it has been found whole. Raises StoreError, ArchiveError."""
    async with aclosing(EdgeIndexes(_collection(settings))) as indexes:
        staging = await asyncio.to_thread(indexes.staging)
        try:
            about = await asyncio.to_thread(unpack_archive, archive, staging)
            manifest = await _verified(archive, staging / _INDEX, about)
            await asyncio.to_thread(indexes.replace_all, staging / _INDEX / manifest.digest, manifest)
            if (remembered := staging / EMBEDDINGS).exists():
                await asyncio.to_thread(merge_embeddings, remembered, settings.state_dir / EMBEDDINGS)
        finally:
            await asyncio.to_thread(shutil.rmtree, staging)
    return f"{about['chunks']} chunks from {archive}"


def _collection(settings: RagSettings) -> Path:
    if settings.qdrant_host:
        raise ArchiveError("QDRANT_HOST is set: the index is on that server, which makes snapshots of its own")
    return settings.state_dir / settings.rag_collection


def _write(settings: RagSettings, shard: Path, archive: Path, about: Mapping[str, object]) -> None:
    remembered = settings.state_dir / f"{EMBEDDINGS}.copy"
    found = {f"{_INDEX}/{path.relative_to(shard.parent).as_posix()}": path for path in shard.rglob("*")}
    files = {name: path for name, path in sorted(found.items()) if path.is_file()}
    try:
        if copy_embeddings(settings.state_dir / EMBEDDINGS, remembered):
            files[EMBEDDINGS] = remembered
        write_archive(archive, files, about)
    finally:
        remembered.unlink(missing_ok=True)


async def _verified(archive: Path, collection: Path, about: Mapping[str, object]) -> Manifest:
    """Opens the unpacked index and counts. Raises ArchiveError."""
    index = about.get("index")
    manifest = manifest_from(index, str(about.get("digest"))) if isinstance(index, dict) else None
    if manifest is None or not (collection / manifest.digest).is_dir():
        raise ArchiveError(f"{archive} holds no index that this version knows")
    async with aclosing(EdgeIndexes(collection)) as unpacked:
        try:
            chunks = await _chunks(unpacked, manifest)
        except StoreError as error:
            raise ArchiveError(f"{archive} is damaged: {error}") from error
    if chunks != about.get("chunks"):
        raise ArchiveError(f"the index in {archive} cannot be read: it has {chunks} chunks, not {about.get('chunks')}")
    return manifest


async def _chunks(indexes: EdgeIndexes, manifest: Manifest) -> int:
    store = await indexes.read(manifest)
    try:
        return await store.size()
    finally:
        await store.close()


def main() -> None:
    """Exits with 2 and one line when it cannot be done."""
    parser = argparse.ArgumentParser(prog="worksite.rag.backup", description=__doc__)
    parser.add_argument("what", choices=("create", "restore"))
    parser.add_argument("file", type=Path)
    asked = parser.parse_args()
    work = create if asked.what == "create" else restore
    try:
        print(asyncio.run(work(settings_module.load(RagSettings), asked.file.absolute())))
    except (SettingsError, OSError) as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT)


if __name__ == "__main__":
    main()
