"""Which files of a folder count, and what is read of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from worksite.rag.domain.documents import Unindexable
from worksite.rag.folders import MAX_CONVERTED_BYTES, MAX_FILE_BYTES, Folder, decoded, read


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


def names(root: Path, at: str = "") -> list[str]:
    folder = Folder(root)
    return [folder.path_of(file) for file in folder.scan(root / at).files]


def test_files_of_known_names_are_found_in_order_with_paths_below_the_folders_name(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {"b.md": "b", "a/c.MD": "c", "d.txt": "d", "e.py": "e", "f.exe": "f", "g": "g"})
    assert names(root) == ["docs/b.md", "docs/d.txt", "docs/e.py", "docs/a/c.MD"]
    assert names(root, "a") == names(root, "a/c.MD") == ["docs/a/c.MD"]
    assert names(root, "f.exe") == names(root, "gone.md") == []


def test_hidden_folders_and_dependencies_are_left_out(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {".git/a.md": "a", "node_modules/x/a.md": "a", "a.md": "a", ".b.md": "b"})
    assert names(root) == ["docs/a.md"]
    assert names(root, ".git/a.md") == names(root, "node_modules/x") == []


def test_what_gitignore_names_is_left_out_and_the_innermost_rule_wins(tmp_path: Path) -> None:
    rules = {".gitignore": "build/\n*.txt\n!keep.txt\n/only.md\n", "a/.gitignore": "!b.txt\nkeep.txt\n"}
    files = [
        "build/a.md",
        "a/build/a.md",
        "keep.txt",
        "a/b.txt",
        "a/keep.txt",
        "b.txt",
        "only.md",
        "a/only.md",
    ]
    root = write(tmp_path / "docs", rules | dict.fromkeys(files, "x"))
    assert names(root) == ["docs/keep.txt", "docs/a/b.txt", "docs/a/only.md"]
    for file in files:
        assert bool(names(root, file)) == (f"docs/{file}" in names(root))


def test_rules_that_cannot_be_read_leave_nothing_out(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {"a.md": "a", "b/b.md": "b"})
    (root / ".gitignore").mkdir()
    (root / "b" / ".gitignore").write_bytes(b"\xff\xfe\x00[")
    assert names(root) == ["docs/a.md", "docs/b/b.md"]


def test_links_are_refused_be_they_files_folders_loops_or_on_the_way(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {"a.md": "a", "sub/b.md": "b"})
    write(tmp_path / "outside", {"secret.md": "secret", "sub/b.md": "b"})
    (root / "link.md").symlink_to(tmp_path / "outside" / "secret.md")
    (root / "linked").symlink_to(tmp_path / "outside")
    (root / "sub" / "loop").symlink_to(root)
    assert names(root) == ["docs/a.md", "docs/sub/b.md"]
    for at in ("link.md", "linked", "linked/secret.md", "linked/sub/b.md", "sub/loop/a.md", "sub/../a.md"):
        assert names(root, at) == []
    with pytest.raises(OSError, match="symbolic"):
        read(root, root / "link.md")


def test_folder_that_cannot_be_looked_into_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write(tmp_path / "docs", {"a.md": "a", "locked/b.md": "b"})
    scandir = os.scandir

    def refusing(path: str) -> object:  # the tests may run as root, who may look everywhere
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    scan = Folder(root).scan(root)
    assert (scan.files, scan.unreadable) == ((root / "a.md",), {root / "locked": "Permission denied"})


def test_missing_root_is_no_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="docs is not a folder"):
        Folder(tmp_path / "docs").scan(tmp_path / "docs")


def test_name_that_is_not_utf8_is_escaped(tmp_path: Path) -> None:
    assert Folder(tmp_path).path_of(tmp_path / os.fsdecode(b"caf\xe9.md")) == f"{tmp_path.name}/caf\\xe9.md"


def test_contents_know_their_source_and_when_the_file_was_changed(tmp_path: Path) -> None:
    root = write(tmp_path, {"a.md": "# A\r\n\r\ntext\r"})
    may = datetime(2026, 5, 1, tzinfo=UTC)
    os.utime(root / "a.md", (may.timestamp(), may.timestamp()))
    contents = read(root, root / "a.md")
    assert (contents.source.language, contents.updated_at) == ("markdown", may)
    assert decoded(contents.data) == "# A\r\n\r\ntext\r"


@pytest.mark.parametrize(("name", "most"), [("a.md", MAX_FILE_BYTES), ("a.pdf", MAX_CONVERTED_BYTES)])
def test_file_that_is_too_large_is_refused_with_both_sizes(tmp_path: Path, name: str, most: int) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(50 << 20)
    with pytest.raises(Unindexable, match=rf"it has {50 << 20} bytes, more than the {most} that a file may have"):
        read(tmp_path, tmp_path / name)


def test_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.md")
    with pytest.raises(Unindexable, match="no regular file"):
        read(tmp_path, tmp_path / "a.md")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("Grüße".encode("latin-1"), "it is not UTF-8: invalid start byte at byte 2"),
        (b"\x7fELF\x02\x00\x00", "it is not text: a zero byte at byte 5"),
        ("text".encode("utf-16"), "it is not text: a zero byte at byte 3"),
    ],
)
def test_what_is_no_text_is_refused_with_the_place(data: bytes, reason: str) -> None:
    with pytest.raises(Unindexable, match=reason):
        decoded(data)
