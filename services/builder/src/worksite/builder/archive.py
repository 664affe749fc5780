"""A zip of a commit's tree, made from the objects: `git archive` would obey the tree's export attributes."""

from __future__ import annotations

import asyncio
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from worksite.builder.domain.trees import TreeEntry, stays_inside
from worksite.builder.repository import Repository
from worksite.common.errors import StepRefused

_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first date a zip can hold: equal trees make equal archives."""
_UNIX = 3
_CHUNK_BYTES = 1024 * 1024


async def write_archive(repository: Repository, commit: str, archive: Path, max_bytes: int) -> None:
    """Write the tree at `commit`. Raises StepRefused when its files hold more than `max_bytes`."""
    entries = await repository.entries(commit)
    if sum(entry.size for entry in entries) > max_bytes:
        raise StepRefused("repository_too_large", f"the files of the commit hold more than {max_bytes} bytes")
    blobs = archive.with_suffix(".blobs")
    await repository.write_blobs([entry.sha for entry in entries if not entry.is_submodule], blobs)
    await asyncio.to_thread(_write, entries, blobs, archive)
    blobs.unlink()


def _write(entries: Sequence[TreeEntry], blobs: Path, archive: Path) -> None:
    with blobs.open("rb") as contents, zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        for entry in entries:
            if entry.is_submodule:
                zipped.writestr(_info(f"{entry.path}/", stat.S_IFDIR | 0o755), b"")
            else:
                _write_blob(zipped, entry, contents)


def _write_blob(zipped: zipfile.ZipFile, entry: TreeEntry, contents: IO[bytes]) -> None:
    header = contents.readline()
    if header != f"{entry.sha} blob {entry.size}\n".encode():
        raise ValueError(f"git wrote {header!r} where {entry.path} was due")
    start = contents.tell()
    with zipped.open(_info(entry.path, _mode(entry, contents)), "w") as target:
        contents.seek(start)
        for offset in range(0, entry.size, _CHUNK_BYTES):
            target.write(contents.read(min(_CHUNK_BYTES, entry.size - offset)))
    contents.read(1)  # the newline after each object


def _mode(entry: TreeEntry, contents: IO[bytes]) -> int:
    """A link that leads out of the tree becomes a file that holds its target, as git itself does without links."""
    if entry.is_symlink and stays_inside(entry.path, contents.read(entry.size).decode(errors="replace")):
        return stat.S_IFLNK | 0o777
    return stat.S_IFREG | (0o755 if entry.mode == "100755" else 0o644)


def _info(path: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(path, _EARLIEST)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.create_system = _UNIX
    info.external_attr = mode << 16
    return info
