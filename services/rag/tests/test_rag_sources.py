"""What is read from folders, and what is left out."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from worksite.rag.domain.documents import Document
from worksite.rag.index import Unreadable
from worksite.rag.sources import MAX_FILE_BYTES, blueprints_in, markdown_in

MAY = datetime(2026, 5, 1, tzinfo=UTC)
MANIFEST = """
name = "auth-service"
version = "1.0.0"
title = "Authentication service"
summary = "Register and log in."

[interface]
kind = "asgi"
target = "auth:app"

[parameters]

[[criteria]]
id = "registers"
statement = "A user can register."
grade = "verified_io"
test = "acceptance/test_auth.py::test_register"

[vocabulary]
product = ["auth system"]
"""


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    return root


def test_document_knows_its_language_and_when_the_file_was_changed(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {"a.md": "a"})
    os.utime(root / "a.md", (MAY.timestamp(), MAY.timestamp()))
    [document] = markdown_in(root)
    assert isinstance(document, Document)
    assert (document.language, document.updated_at) == ("markdown", MAY)


def test_markdown_is_found_in_order_with_paths_below_the_folders_name(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {"b.md": "b", "a/c.MD": "c", "d.txt": "d"})
    assert [document.path for document in markdown_in(root)] == ["docs/b.md", "docs/a/c.MD"]


def test_line_ends_are_kept_as_they_are_in_the_file(tmp_path: Path) -> None:
    (document,) = markdown_in(write(tmp_path / "docs", {"a.md": "# A\r\n\r\ntext\r"}))
    assert isinstance(document, Document)
    assert document.text == "# A\r\n\r\ntext\r"


def test_hidden_folders_dependencies_and_links_are_left_out(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {".git/a.md": "a", "node_modules/x/a.md": "a", "a.md": "a"})
    write(tmp_path, {"outside.md": "secret"})
    (root / "link.md").symlink_to(tmp_path / "outside.md")
    (root / "linked").symlink_to(tmp_path)
    assert [document.path for document in markdown_in(root)] == ["docs/a.md"]


def test_file_that_is_not_utf8_or_too_large_is_reported_beside_the_others(tmp_path: Path) -> None:
    root = write(tmp_path / "docs", {"a.md": "a", "huge.md": "x" * (MAX_FILE_BYTES + 1)})
    (root / "latin.md").write_bytes("Grüße".encode("latin-1"))
    found = {document.path: document for document in markdown_in(root)}
    assert isinstance(found["docs/a.md"], Document)
    assert found["docs/latin.md"] == Unreadable("docs/latin.md", "not UTF-8: invalid start byte at byte 2")
    assert isinstance(found["docs/huge.md"], Unreadable)


@pytest.mark.parametrize("source", [markdown_in, blueprints_in])
def test_missing_folder_is_reported_by_name(tmp_path: Path, source) -> None:
    (found,) = source(tmp_path / "docs")
    assert (found.path, found.reason) == ("docs", f"{tmp_path / 'docs'} is not a folder")


def test_blueprint_gives_its_manifest_and_readme_under_its_name_and_nothing_else(tmp_path: Path) -> None:
    root = write(
        tmp_path / "blueprints",
        {
            "auth-service/blueprint.toml": MANIFEST,
            "auth-service/README.md": "# Auth",
            "auth-service/template/README.md": "# {{ title }}",
            "auth-service/unit/notes.md": "no",
            "no-manifest/README.md": "no",
        },
    )
    manifest, readme = blueprints_in(root)
    assert isinstance(manifest, Document)
    assert isinstance(readme, Document)
    assert (manifest.path, manifest.format) == ("blueprints/auth-service/blueprint.toml", "manifest")
    assert (readme.path, readme.format) == ("blueprints/auth-service/README.md", "markdown")
    assert {manifest.kind, readme.kind} == {"blueprint"}
    assert {manifest.name, readme.name} == {"auth-service"}
    assert manifest.heading == ("Authentication service",)


def test_blueprint_with_a_broken_manifest_is_reported_and_its_readme_still_read(tmp_path: Path) -> None:
    files = {"auth/blueprint.toml": "title =", "auth/README.md": "# Auth"}
    broken, readme = blueprints_in(write(tmp_path / "blueprints", files))
    assert isinstance(broken, Unreadable)
    assert broken.path == "blueprints/auth/blueprint.toml"
    assert isinstance(readme, Document)
