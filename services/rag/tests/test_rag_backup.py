"""A backup puts back what was there, and no file that is not one changes anything."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest
from worksite.common.settings import SettingsError
from worksite.rag import backup
from worksite.rag.domain.documents import Document
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.embedding_cache import EmbeddingCache
from worksite.rag.index import Indexer, manifest_of
from worksite.rag.settings import EMBEDDINGS, RagSettings
from worksite.rag.stores.edge_indexes import EdgeIndexes
from worksite.rag.stores.sparse import SparseEncoder

pytestmark = pytest.mark.asyncio
TEXT = "# Tokens\n\nThey are rotated.\n\n# Lifetime\n\nFifteen minutes.\n"


class Place:
    """A state directory with an index."""

    def __init__(self, state: Path, embedder: Embedder) -> None:
        self.settings = RagSettings(state_dir=state)
        self.manifest = replace(manifest_of(embedder, str(SHIPPED)), complete=True)
        self._embedder = embedder

    async def put(self, path: str, text: str = TEXT) -> None:
        """As the service does it, with nothing running afterwards."""
        cache = EmbeddingCache(self.settings.state_dir / EMBEDDINGS, 1 << 20)
        async with aclosing(EdgeIndexes(self.settings.state_dir / "worksite")) as indexes, aclosing(cache):
            store = await indexes.open(self.manifest)
            indexer = Indexer(self._embedder, SparseEncoder(), store, "index", cache=cache)
            await indexer.put("acme", Document(path, text, "markdown", source="source"))
            await indexes.note(self.manifest)
            await store.close()

    async def paths(self) -> dict[str, int]:
        async with aclosing(EdgeIndexes(self.settings.state_dir / "worksite")) as indexes:
            assert await indexes.manifests() == [self.manifest]
            store = await indexes.open(self.manifest)
            found = await store.counts()
            await store.close()
        return found.get("acme", {})

    def left_over(self) -> set[str]:
        """What is in the folders beside index and embeddings."""
        index = {"owner.pid", self.manifest.digest, f"{self.manifest.digest}.json"}
        state = {path.name for path in self.settings.state_dir.iterdir()} - {"worksite", EMBEDDINGS}
        return state | {path.name for path in (self.settings.state_dir / "worksite").iterdir()} - index


@pytest.fixture
def place(tmp_path: Path, embedder: Embedder) -> Place:
    return Place(tmp_path / "state", embedder)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "rag.backup"


async def test_restored_index_is_the_one_that_was_backed_up(place: Place, archive: Path) -> None:
    await place.put("a.md")
    assert await backup.create(place.settings, archive) == f"2 chunks in {archive}"
    assert archive.stat().st_mode & 0o777 == 0o600  # noqa: ASYNC240
    await place.put("a.md", "# Another\n\ntext\n")
    await place.put("b.md")
    assert await backup.restore(place.settings, archive) == f"2 chunks from {archive}"
    assert await place.paths() == {"a.md": 2}
    assert place.left_over() == set()


async def test_restore_on_another_machine_brings_the_embeddings_along(
    place: Place, archive: Path, tmp_path: Path, embedder: Embedder, embedded: list[str]
) -> None:
    await place.put("a.md")
    await backup.create(place.settings, archive)
    elsewhere = Place(tmp_path / "elsewhere", embedder)
    await backup.restore(elsewhere.settings, archive)
    assert await elsewhere.paths() == {"a.md": 2}
    embedded.clear()
    await elsewhere.put("renamed.md")
    assert embedded == []


async def test_embeddings_that_came_after_the_backup_stay(place: Place, archive: Path, embedded: list[str]) -> None:
    await place.put("a.md")
    await backup.create(place.settings, archive)
    await place.put("b.md", "# Later\n\ntext\n")
    await backup.restore(place.settings, archive)
    embedded.clear()
    await place.put("b.md", "# Later\n\ntext\n")
    await place.put("c.md")
    assert embedded == []


async def test_backup_of_another_model_takes_the_place_of_the_present_index(
    place: Place, archive: Path, tmp_path: Path, embedder: Embedder
) -> None:
    await place.put("a.md")
    await backup.create(place.settings, archive)
    other = Place(tmp_path / "other", embedder)
    other.manifest = replace(other.manifest, fingerprint=replace(other.manifest.fingerprint, model="another"))
    await other.put("b.md")
    await backup.restore(other.settings, archive)
    other.manifest = place.manifest
    assert await other.paths() == {"a.md": 2}
    assert other.left_over() == set()


async def test_while_the_service_runs_nothing_is_backed_up_or_restored(place: Place, archive: Path) -> None:
    await place.put("a.md")
    await backup.create(place.settings, archive)
    async with aclosing(EdgeIndexes(place.settings.state_dir / "worksite")):
        for work, file in ((backup.create, archive.with_name("second")), (backup.restore, archive)):
            with pytest.raises(SettingsError, match=r"in use by another process \(pid \d+\)"):
                await work(place.settings, file)
    assert await place.paths() == {"a.md": 2}


async def test_there_is_nothing_to_back_up_before_an_index_is_complete(place: Place, archive: Path) -> None:
    with pytest.raises(SettingsError, match="there is no index in"):
        await backup.create(place.settings, archive)
    place.manifest = replace(place.manifest, complete=False)
    await place.put("a.md")
    with pytest.raises(SettingsError, match=r"no index in .* is complete"):
        await backup.create(place.settings, archive)
    assert not archive.exists()  # noqa: ASYNC240


async def test_index_that_cannot_be_read_is_neither_backed_up_nor_touched(place: Place, archive: Path) -> None:
    await place.put("a.md")
    collection = place.settings.state_dir / "worksite"
    config = collection / place.manifest.digest / "edge_config.json"
    whole = config.read_bytes()
    config.write_text("{")
    with pytest.raises(SettingsError, match=r"the index in .* cannot be read: .*Restore a backup, or start"):
        await backup.create(place.settings, archive)
    assert not archive.exists()  # noqa: ASYNC240
    config.write_bytes(whole)
    assert await place.paths() == {"a.md": 2}


async def test_earlier_backup_is_not_overwritten(place: Place, archive: Path) -> None:
    await place.put("a.md")
    archive.write_text("precious")  # noqa: ASYNC240
    with pytest.raises(SettingsError, match="is there already"):
        await backup.create(place.settings, archive)
    assert archive.read_text() == "precious"  # noqa: ASYNC240


async def test_index_on_a_server_is_left_to_its_snapshots(place: Place, archive: Path) -> None:
    settings = place.settings.model_copy(update={"qdrant_host": "qdrant"})
    for work in (backup.create, backup.restore):
        with pytest.raises(SettingsError, match="the index is on that server"):
            await work(settings, archive)


def damaged(archive: Path) -> str:
    archive.write_bytes(archive.read_bytes()[:-2000])
    return "no backup, or a damaged one"


def of_another_count(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        members = [(member, file.read()) for member in tar if (file := tar.extractfile(member))]
    with tarfile.open(archive, "w:gz") as tar:
        for member, data in members:
            tar.addfile(member, io.BytesIO(data.replace(b'"chunks": 2', b'"chunks": 3')))
    return "it has 2 chunks, not 3"


@pytest.mark.parametrize("spoiled", [damaged, of_another_count])
async def test_file_that_is_no_whole_backup_changes_nothing(
    place: Place, archive: Path, spoiled: Callable[[Path], str]
) -> None:
    await place.put("a.md")
    await backup.create(place.settings, archive)
    await place.put("b.md")
    reason = spoiled(archive)
    with pytest.raises(SettingsError, match=reason):
        await backup.restore(place.settings, archive)
    assert await place.paths() == {"a.md": 2, "b.md": 2}
    assert place.left_over() == set()
