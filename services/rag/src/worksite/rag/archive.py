"""A backup as a file: a gzipped tar whose first member names all others, with their sizes and hashes."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from worksite.common.settings import SettingsError

_KIND = "worksite rag backup 1"
_CONTENTS = "contents.json"
_MOST_CONTENTS = 16 << 20
_PIECE = 1 << 20
_FAST = 1


class ArchiveError(SettingsError):
    """A file that cannot be written as a backup, or is none that can be used; says which and why."""


def write_archive(archive: Path, files: Mapping[str, Path], about: Mapping[str, Any]) -> None:
    """All of it or nothing, readable by its owner only: it holds texts. Raises ArchiveError if there is such a file."""
    if archive.exists():
        raise ArchiveError(f"{archive} is there already: name a new file, or remove it")
    draft = archive.with_name(f"{archive.name}.new")
    contents = {name: {"size": path.stat().st_size, "sha256": _sha256(path)} for name, path in files.items()}
    head = json.dumps({"kind": _KIND, "about": about, "files": contents}).encode()
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            with gzip.open(raw, "wb", compresslevel=_FAST) as packed, tarfile.open(fileobj=packed, mode="w|") as tar:
                member = tarfile.TarInfo(_CONTENTS)
                member.size = len(head)
                tar.addfile(member, io.BytesIO(head))
                for name, path in files.items():
                    tar.add(path, name, recursive=False)
            raw.flush()
            os.fsync(raw.fileno())
        draft.replace(archive)
    finally:
        draft.unlink(missing_ok=True)


def unpack_archive(archive: Path, into: Path) -> Mapping[str, Any]:
    """Write the files of a backup below a folder, each checked, and return what it says about itself.

    Nothing is written but what the first member names, and only below `into`. Raises ArchiveError for a file that is no
    backup, is damaged, or does not fit on the disk.
    """
    try:
        with tarfile.open(archive, "r:gz") as tar:
            contents = _contents(tar)
            left = dict(contents["files"])
            if (needed := sum(int(one["size"]) for one in left.values())) > shutil.disk_usage(into).free:
                raise ArchiveError(f"{archive} needs {needed} bytes, more than there is room for below {into}")
            for member in tar:
                if member.name != _CONTENTS:
                    _unpack(tar, member, left.pop(member.name), into)
    except FileNotFoundError:
        raise ArchiveError(f"{archive} does not exist") from None
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
        raise ArchiveError(f"{archive} is no backup, or a damaged one: {error or repr(error)}") from error
    if left:
        raise ArchiveError(f"{archive} is damaged: it lacks {len(left)} of its files, such as {min(left)}")
    return contents["about"]


def _contents(tar: tarfile.TarFile) -> dict[str, Any]:
    member = tar.next()
    if member is None or member.name != _CONTENTS or not member.isreg() or member.size > _MOST_CONTENTS:
        raise ValueError(f"it does not begin with {_CONTENTS}")
    contents = json.loads(_opened(tar, member).read())
    if contents["kind"] != _KIND:
        raise ValueError(f"it is a {contents['kind']!r}, not a {_KIND!r}")
    return contents


def _unpack(tar: tarfile.TarFile, member: tarfile.TarInfo, expected: Mapping[str, Any], into: Path) -> None:
    path = PurePosixPath(member.name)
    if not member.isreg() or path.is_absolute() or ".." in path.parts or member.size != expected["size"]:
        raise ValueError(f"{member.name} is not what a backup holds")
    target = into / path
    target.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with target.open("xb") as file:
        source = _opened(tar, member)
        while piece := source.read(_PIECE):
            digest.update(piece)
            file.write(piece)
    if digest.hexdigest() != expected["sha256"]:
        raise ValueError(f"{member.name} is not as it was written")


def _opened(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    source = tar.extractfile(member)
    if source is None:
        raise ValueError(f"{member.name} has no content")
    return source


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
