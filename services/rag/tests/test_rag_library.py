"""The index holds what is in the folders, and nothing is embedded twice."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from worksite.common.ids import SHARED_TENANT
from worksite.rag.converting import Converter
from worksite.rag.domain.documents import Document
from worksite.rag.folders import Folder
from worksite.rag.index import Indexer
from worksite.rag.library import Library

pytestmark = pytest.mark.asyncio
TOKENS, COFFEE = "# Tokens\n\nThey are rotated.\n", "# Coffee\n\nOn Fridays.\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    (root / "kitchen").mkdir(parents=True)
    (root / "tokens.md").write_text(TOKENS)
    (root / "kitchen" / "coffee.md").write_text(COFFEE)
    return root


@pytest.fixture
def state() -> dict[str, str]:
    return {}


@pytest.fixture
def library(indexer: Indexer, root: Path, state: dict[str, str]) -> Library:
    library = Library(indexer, [Folder(root)], Converter())
    library.report_to(state)
    return library


async def indexed(indexer: Indexer) -> dict[str, int]:
    return (await indexer.store.counts()).get(SHARED_TENANT, {})


async def test_files_of_all_formats_are_indexed(library: Library, indexer: Indexer, root: Path) -> None:
    (root / "a.py").write_text("def rotate():\n    return 1\n")
    (root / "b.html").write_text("<h1>Tokens</h1><p>They are rotated.</p>")
    await library.sweep()
    assert await indexed(indexer) == {
        "docs/tokens.md": 1,
        "docs/kitchen/coffee.md": 1,
        "docs/a.py": 1,
        "docs/b.html": 1,
    }


async def test_sweep_reads_no_file_again_whose_stamp_is_the_same(
    library: Library, root: Path, embedded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.sweep()
    embedded.clear()
    monkeypatch.setattr("worksite.rag.library.read", None)
    await library.sweep()
    assert embedded == []


async def test_touched_moved_over_and_rewritten_files_are_not_embedded_again(
    library: Library, root: Path, embedded: list[str]
) -> None:
    await library.sweep()
    embedded.clear()
    os.utime(root / "tokens.md", (1, 1))
    (root / "kitchen" / "coffee.md.tmp").write_text(COFFEE)
    (root / "kitchen" / "coffee.md.tmp").replace(root / "kitchen" / "coffee.md")
    await library.sweep()
    await library.look(root)
    assert embedded == []


async def test_file_whose_content_stayed_is_not_even_cut_again(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.sweep()
    monkeypatch.setattr(Indexer, "put", None)
    os.utime(root / "tokens.md", (1, 1))
    await library.sweep()
    await library.look(root / "tokens.md")
    assert library.refused == {}


async def test_folder_that_cannot_be_looked_into_keeps_what_is_indexed_of_it(
    library: Library, indexer: Indexer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.sweep()
    scandir = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("kitchen"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    await library.sweep()
    assert len(await indexed(indexer)) == 2
    assert library.refused == {"docs/kitchen": "Permission denied"}


async def test_restart_embeds_nothing(library: Library, indexer: Indexer, root: Path, embedded: list[str]) -> None:
    await library.sweep()
    embedded.clear()
    again = Library(indexer, library.folders, Converter())
    await again.open()
    await again.sweep()
    assert embedded == []
    assert len(await indexed(indexer)) == 2


async def test_change_of_the_same_size_and_time_is_seen_by_a_look(
    library: Library, root: Path, embedded: list[str]
) -> None:
    await library.sweep()
    about = (root / "tokens.md").stat()
    embedded.clear()
    (root / "tokens.md").write_text(TOKENS.replace("rotated", "revoked"))
    os.utime(root / "tokens.md", ns=(about.st_atime_ns, about.st_mtime_ns))
    await library.look(root / "tokens.md")
    assert [text.splitlines()[-1] for text in embedded] == ["They are revoked."]


async def test_file_or_folder_that_is_gone_is_gone_from_the_index(
    library: Library, indexer: Indexer, root: Path
) -> None:
    await library.sweep()
    (root / "kitchen" / "coffee.md").rename(root.parent / "coffee.md")
    (root / "kitchen").rmdir()
    await library.look(root / "kitchen")
    assert await indexed(indexer) == {"docs/tokens.md": 1}
    (root / "tokens.md").unlink()
    await library.look(root / "tokens.md")
    assert await indexed(indexer) == {}


async def test_files_that_went_while_the_process_was_away_are_found_out(
    library: Library, indexer: Indexer, root: Path
) -> None:
    await library.sweep()
    (root / "tokens.md").unlink()
    await indexer.put(SHARED_TENANT, Document("former/a.md", COFFEE, "markdown"))
    await indexer.put(SHARED_TENANT, Document("blueprints/auth/README.md", COFFEE, "markdown", kind="blueprint"))
    again = Library(indexer, library.folders, Converter())
    await again.open(others=["blueprints"])
    await again.sweep()
    assert await indexed(indexer) == {"docs/kitchen/coffee.md": 1, "blueprints/auth/README.md": 1}


async def test_folder_that_is_missing_keeps_what_is_indexed_of_it(
    library: Library, indexer: Indexer, root: Path, state: dict[str, str]
) -> None:
    await library.sweep()
    shutil.move(root, root.parent / "unmounted")
    await library.sweep()
    assert len(await indexed(indexer)) == 2
    assert f"1 refused: docs: {root} is not a folder" in state["folders"]
    shutil.move(root.parent / "unmounted", root)
    await library.sweep()
    assert state["folders"] == "2 files"


async def test_each_bad_file_is_listed_once_with_its_reason_and_stops_no_other(
    library: Library, indexer: Indexer, root: Path, state: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    bad: dict[str, bytes] = {
        "binary.py": b"\x7fELF\x00\x00",
        "latin.txt": "Grüße".encode("latin-1"),
        "broken.pdf": b"%PDF-1.7 broken",
        "bomb.docx": b"PK\x05\x06",
        "huge.md": b"x" * (3 << 20),
    }
    for name, data in bad.items():
        (root / name).write_bytes(data)
    os.mkfifo(root / "pipe.txt")
    await library.sweep()
    await library.sweep()
    assert library.refused.keys() == {f"docs/{name}" for name in [*bad, "pipe.txt"]}
    assert await indexed(indexer) == {"docs/tokens.md": 1, "docs/kitchen/coffee.md": 1}
    assert state["folders"].startswith("2 files, 6 refused: ")
    assert state["folders"].endswith("; 1 more")
    assert len([record for record in caplog.records if "not indexed" in record.message]) == 6


async def test_file_whose_new_content_is_refused_answers_no_longer_until_it_is_mended(
    library: Library, indexer: Indexer, root: Path
) -> None:
    await library.sweep()
    (root / "tokens.md").write_bytes(b"\xff\xff")
    await library.look(root / "tokens.md")
    assert "docs/tokens.md" not in await indexed(indexer)
    assert library.refused == {"docs/tokens.md": "it is not UTF-8: invalid start byte at byte 0"}
    (root / "tokens.md").write_text(TOKENS)
    await library.look(root / "tokens.md")
    assert "docs/tokens.md" in await indexed(indexer)
    assert library.refused == {}


async def test_file_that_cannot_be_opened_keeps_what_is_indexed_of_it_and_is_read_once_it_can_be(
    library: Library, indexer: Indexer, root: Path, embedded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.sweep()
    (root / "tokens.md").write_text(COFFEE)

    def refusing(*_: object) -> Any:  # the tests may run as root, who may read everything
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("worksite.rag.library.read", refusing)
        await library.sweep()
    assert library.refused == {"docs/tokens.md": "Permission denied"}
    assert len(await indexed(indexer)) == 2
    embedded.clear()
    await library.sweep()
    assert len(embedded) == 1
    assert library.refused == {}


async def test_look_at_what_lies_outside_of_every_folder_does_nothing(
    library: Library, indexer: Indexer, root: Path
) -> None:
    (root.parent / "secret.md").write_text("secret")
    for at in (root.parent, root.parent / "secret.md", root / ".." / "secret.md", Path("/")):
        await library.look(at)
    assert await indexed(indexer) == {}


async def test_trouble_of_the_store_at_one_file_stops_no_other_and_is_made_good_by_the_next_sweep(
    library: Library, indexer: Indexer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    upsert = type(indexer.store).upsert

    async def refusing(store: Any, tenant: str, points: Any) -> None:
        if "rotated" in points[0].passage.text:
            raise ConnectionError("the store is away")
        await upsert(store, tenant, points)

    with monkeypatch.context() as patch:
        patch.setattr(type(indexer.store), "upsert", refusing)
        await library.sweep()
    assert library.unsettled == {"docs/tokens.md"}
    assert await indexed(indexer) == {"docs/kitchen/coffee.md": 1}
    await library.sweep()
    assert (library.unsettled, library.refused) == (set(), {})
    assert len(await indexed(indexer)) == 2
