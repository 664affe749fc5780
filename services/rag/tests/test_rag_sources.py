"""What blueprints say about themselves, and what is left out."""

from __future__ import annotations

from pathlib import Path

from worksite.rag.domain.documents import Document
from worksite.rag.index import Unreadable
from worksite.rag.sources import blueprints_in

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


def test_missing_folder_is_reported_by_name(tmp_path: Path) -> None:
    (found,) = blueprints_in(tmp_path / "docs")
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
