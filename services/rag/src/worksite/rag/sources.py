"""What blueprints say about themselves, as documents."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from worksite.common import blueprints
from worksite.common.errors import Permanent
from worksite.rag.domain.documents import Document
from worksite.rag.folders import MAX_FILE_BYTES
from worksite.rag.index import Unreadable

Found = Iterator[Document | Unreadable]


def blueprints_in(root: Path) -> Found:
    """README and manifest of every blueprint below a folder, under the blueprint's name."""
    if not root.is_dir():
        yield Unreadable(root.name, f"{root} is not a folder")
        return
    for name, folder in blueprints.catalogue(root).items():
        yield from _blueprint(root, name, folder)


def _blueprint(root: Path, name: str, folder: Path) -> Found:
    manifest, readme = folder / blueprints.MANIFEST, folder / "README.md"
    try:
        title = blueprints.load(folder).title
    except Permanent as error:
        yield Unreadable(_path(root, manifest), str(error))
    else:
        yield _document(root, manifest, name=name, heading=(title,))
    if readme.is_file():
        yield _document(root, readme, name=name)


def _document(root: Path, file: Path, *, name: str, heading: tuple[str, ...] = ()) -> Document | Unreadable:
    path = _path(root, file)
    try:
        about = file.stat()
        if about.st_size > MAX_FILE_BYTES:
            return Unreadable(path, f"{about.st_size} bytes, more than the {MAX_FILE_BYTES} that a file may have")
        data = file.read_bytes()
        text = data.decode()  # not read_text: it would rewrite line ends and shift every span
    except UnicodeDecodeError as error:
        return Unreadable(path, f"not UTF-8: {error.reason} at byte {error.start}")
    except OSError as error:
        return Unreadable(path, error.strerror or str(error))
    return Document(
        path=path,
        text=text,
        format="manifest" if file.name == blueprints.MANIFEST else "markdown",
        kind="blueprint",
        name=name,
        heading=heading,
        language=None if file.name == blueprints.MANIFEST else "markdown",
        updated_at=datetime.fromtimestamp(about.st_mtime, UTC),
        source=hashlib.sha256(data).hexdigest(),
    )


def _path(root: Path, file: Path) -> str:
    return Path(root.name, file.relative_to(root)).as_posix()
