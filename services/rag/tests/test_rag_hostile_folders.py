"""Whatever lies in a folder, each bad file is refused with its reason, the good ones are found, nothing outside is."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from worksite.common.ids import SHARED_TENANT
from worksite.rag import folders, ignoring, index, opening
from worksite.rag.converting import Converter
from worksite.rag.domain.queries import Filters, Scope, SearchQuery
from worksite.rag.folders import DEEPEST, Folder, read
from worksite.rag.index import Indexer
from worksite.rag.library import Library
from worksite.rag.search import SearchEngine

pytestmark = pytest.mark.asyncio
GOOD = "# Tokens\n\nThey are rotated.\n"
SECRET = "# Secret\n\nThe merger is announced in May.\n"
ENCRYPTED = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Size 3/Root 1 0 R/Encrypt<</Filter/Standard/V 1/R 2/Length 40/P -4/O("
    + b"o" * 32
    + b")/U("
    + b"u" * 32
    + b")>>/ID[(i)(i)]>>\nstartxref\n0\n%%EOF"
)


def archive(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in parts.items():
            made.writestr(name.replace("_", "/", 1), data)
    return buffer.getvalue()


def laughs() -> bytes:
    """A document of a thousand bytes whose text would be ten billion times as long."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    return f'<!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a11;</x>'.encode()


BAD: dict[bytes, tuple[bytes, str]] = {
    b"binary.py": (b"\x7fELF\x02\x01\x01\x00", "it is not text: a zero byte at byte 7"),
    b"latin.md": (b"caf\xe9", "it is not UTF-8: unexpected end of data at byte 3"),
    b"nul.txt": (b"a\x00b", "it is not text: a zero byte at byte 1"),
    b"utf16.md": ("# Tokens".encode("utf-16"), "it is not text: a zero byte at byte 3"),
    b"torn.rst": ("Grüße".encode()[:3], "it is not UTF-8: unexpected end of data at byte 2"),
    b"surrogate.md": (b"\xed\xa0\x80", "it is not UTF-8: invalid continuation byte at byte 0"),
    b"binary.html": (bytes(range(256)) * 8, "it cannot be converted: it holds zero bytes"),
    b"broken.pdf": (b"%PDF-1.7 broken", "it cannot be converted: "),
    b"encrypted.pdf": (ENCRYPTED, "it cannot be converted: it is encrypted"),
    b"bomb.docx": (archive(word_document=bytes(65 << 20)), "it cannot be converted: it unpacks to 65 MiB"),
    b"laughs.docx": (archive(word_document=laughs()), "it cannot be converted: "),
    b"caf\xe9.md": (b"\xff", "it is not UTF-8: invalid start byte at byte 0"),
    b"line\nbreak.md": (b"\xff", "it is not UTF-8: invalid start byte at byte 0"),
    b"n" * 250 + b".txt": (b"\xff", "it is not UTF-8: invalid start byte at byte 0"),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "docs"
    root.mkdir()
    (root / "good.md").write_text(GOOD)
    return root


@pytest.fixture
def library(indexer: Indexer, root: Path) -> Library:
    return Library(indexer, [Folder(root)], Converter())


async def indexed(indexer: Indexer) -> set[str]:
    return set((await indexer.store.counts()).get(SHARED_TENANT, {}))


def named(root: Path, name: bytes) -> Path:
    return root / os.fsdecode(name)


async def test_each_bad_file_is_refused_with_its_reason_and_the_good_one_is_found(
    library: Library, indexer: Indexer, root: Path
) -> None:
    for name, (data, _) in BAD.items():
        named(root, name).write_bytes(data)
    with (root / "large.md").open("wb") as file:
        file.truncate(50 << 20)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket.md"))
        os.mkfifo(root / "pipe.md")
        await library.sweep()
    expected = {f"docs/{name.decode(errors='backslashreplace')}": reason for name, (_, reason) in BAD.items()}
    expected |= {
        "docs/large.md": "it has 52428800 bytes, more than the 2097152 that a file may have",
        "docs/socket.md": "No such device or address",
        "docs/pipe.md": "it is no regular file",
    }
    assert library.refused.keys() == expected.keys()
    for path, reason in expected.items():
        assert library.refused[path].startswith(reason), (path, library.refused[path])
    assert await indexed(indexer) == {"docs/good.md"}


async def test_name_that_is_not_utf8_is_found_under_its_escaped_name(
    library: Library, indexer: Indexer, root: Path
) -> None:
    file = named(root, b"caf\xe9.md")
    file.write_text(GOOD)
    await library.sweep()
    assert await indexed(indexer) == {"docs/good.md", "docs/caf\\xe9.md"}
    file.unlink()
    await library.look(file)
    assert await indexed(indexer) == {"docs/good.md"}


async def test_path_that_is_too_long_to_be_shown_and_folders_that_are_too_deep_are_refused(
    library: Library, indexer: Indexer, root: Path
) -> None:
    long = root / ("n" * 200) / ("m" * 200)
    long.mkdir(parents=True)
    (long / "a.md").write_text(GOOD)
    at = root
    for _ in range(DEEPEST + 2):
        at /= "d"
        at.mkdir()
    (at / "a.md").write_text(GOOD)
    await library.sweep()
    assert set(library.refused.values()) == {
        "its path has 411 characters; at most 400 are shown with results",
        f"it lies in more than {DEEPEST} folders",
    }
    assert await indexed(indexer) == {"docs/good.md"}


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    outside = tmp_path / "outside"
    (outside / "sub").mkdir(parents=True)
    for folder in (outside, outside / "sub"):
        (folder / "secret.md").write_text(SECRET)
    return outside


async def test_links_and_paths_that_lead_outside_or_in_circles_lead_nowhere(
    library: Library, indexer: Indexer, root: Path, outside: Path
) -> None:
    (root / "file.md").symlink_to(outside / "secret.md")
    (root / "folder").symlink_to(outside)
    (root / "self").symlink_to(root / "self")
    (root / "up").symlink_to(root)
    (root / "dangling.md").symlink_to(outside / "none.md")
    (root / "device.md").symlink_to("/dev/zero")
    await library.sweep()
    for hint in (
        "file.md",
        "folder",
        "folder/secret.md",
        "self/a.md",
        "up/up/good.md",
        "../outside/secret.md",
        "device.md",
    ):
        await library.look(root / hint)
    for hint in ("/etc/passwd", "/dev/zero", "/", str(outside / "secret.md"), "docs/good.md"):
        await library.look(Path(hint))
    assert await indexed(indexer) == {"docs/good.md"}
    assert library.refused == {}


async def test_folder_that_becomes_a_link_between_being_listed_and_read_is_not_followed(
    library: Library, indexer: Indexer, root: Path, outside: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "sub").mkdir()
    (root / "sub" / "secret.md").write_text("# Nothing\n")
    scan = Folder.scan

    def swapping(folder: Folder, at: Path) -> folders.Scan:
        found = scan(folder, at)
        (root / "sub").rename(root.parent / "moved")
        (root / "sub").symlink_to(outside / "sub")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "scan", swapping)
        await library.sweep()
    assert library.refused == {"docs/sub/secret.md": "Not a directory"}
    await library.sweep()
    assert library.refused == {}
    assert await indexed(indexer) == {"docs/good.md"}
    with pytest.raises(NotADirectoryError):
        read(root, root / "sub" / "secret.md")


@pytest.mark.parametrize("kind", ["pipe", "link", "folder", "large", "binary"])
async def test_gitignore_that_is_no_plain_file_leaves_nothing_out_and_holds_nothing_up(
    library: Library, indexer: Indexer, root: Path, outside: Path, kind: str
) -> None:
    rules = root / ".gitignore"
    (outside / "rules").write_text("*.md\n")
    match kind:
        case "pipe":
            os.mkfifo(rules)
        case "link":
            rules.symlink_to(outside / "rules")
        case "folder":
            rules.mkdir()
        case "large":
            rules.write_bytes(b"*.md\n" + b"#" * (1 << 20))
        case _:
            rules.write_bytes(bytes(range(256)))
    async with asyncio.timeout(30):
        await library.sweep()
    assert await indexed(indexer) == {"docs/good.md"}


@contextmanager
def forbidding(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The tests may run as root, who may read everything."""
    before = os.open

    def refusing(name: object, *arguments: object, **more: object) -> int:
        if name == path.name:
            raise PermissionError(13, "Permission denied")
        return before(name, *arguments, **more)  # pyright: ignore[reportArgumentType, reportCallIssue]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refusing)
        yield


async def test_file_that_may_not_be_read_is_named_and_found_once_it_may_be(
    library: Library, indexer: Indexer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "locked.md").write_text(GOOD)
    with forbidding(root / "locked.md", monkeypatch):
        await library.sweep()
    assert library.refused == {"docs/locked.md": "Permission denied"}
    await library.sweep()
    assert await indexed(indexer) == {"docs/good.md", "docs/locked.md"}


async def test_rules_of_a_folder_are_read_once_for_all_the_files_in_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a hundred thousand files are a matter of seconds."""
    read_rules: list[Path] = []

    def counting(root: Path, file: Path) -> object:
        read_rules.append(file)
        return opening.opened(root, file)

    monkeypatch.setattr(ignoring, "opened", counting)
    for folder in range(5):
        (root / "deep" / str(folder)).mkdir(parents=True)
        for file in range(200):
            (root / "deep" / str(folder) / f"{file}.md").touch()
    assert len(Folder(root).scan(root).files) == 1001
    assert len(read_rules) == len(set(read_rules)) == 7


@pytest.mark.parametrize("mode", ["dense", "sparse", "hybrid"])
@pytest.mark.parametrize(
    "text", ["", "\x00\x01", "?!.", "the a of", "\u200b", "🧪" * 500, "x" * 2000, "(" * 2000, "token " * 330]
)
async def test_odd_query_is_answered_and_the_next_one_too(
    library: Library, indexer: Indexer, mode: str, text: str
) -> None:
    await library.sweep()
    engine = SearchEngine(indexer.embedder, indexer.encoder, indexer.store)
    for filters in (Filters(), Filters(path_prefix="\x00../*", tags=("\x00",) * 20, language="klingon")):
        await engine.search(SearchQuery(text, Scope("acme", filters), mode))  # pyright: ignore[reportArgumentType]
    found = await engine.search(SearchQuery("tokens rotated", Scope("acme")))
    assert [hit.passage.path for hit in found.hits] == ["docs/good.md"]


async def test_file_of_nothing_but_lines_or_headings_does_not_flood_the_index(
    library: Library, indexer: Indexer, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "MAX_CHUNKS", 50)
    (root / "headings.md").write_text("# a\nb\n" * 51)
    (root / "lines.md").write_text("a\n\n" * 100_000)
    (root / "old.md").write_text("a\r" * 100_001)
    await library.sweep()
    assert library.refused == {
        "docs/headings.md": "its text makes 51 passages; at most 50 of a document are indexed",
        "docs/lines.md": "it has 200000 lines; at most 100000 of a document are indexed",
        "docs/old.md": "it has 100001 lines; at most 100000 of a document are indexed",
    }
    for name in ("lines.md", "old.md"):
        (root / name).unlink()
    (root / "headings.md").write_text("# a\nb\n" * 50)
    await library.sweep()
    assert await indexed(indexer) == {"docs/good.md", "docs/headings.md"}
