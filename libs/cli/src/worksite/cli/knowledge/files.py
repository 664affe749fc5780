"""Which files below the given paths can be searched, and why the others cannot."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from worksite.cli.repository.git import Git
from worksite.common.messages.knowledge import (
    CONVERTED_SUFFIXES,
    MAX_DOCUMENT_BYTES,
    MAX_FILE_BYTES,
    DocumentPath,
    is_converted,
)

_PROSE = "adoc md mdx org rst tex txt"
_CODE = (
    "bash c cc clj cpp cs css dart el erl ex exs fs go graphql groovy h hpp hs java jl js jsx kt kts lua m mjs ml "
    "nim php pl proto ps1 py pyi r rb rs scala scss sh sql svelte swift tf toml ts tsx vue yaml yml zig zsh"
)
SUFFIXES = frozenset(f".{name}" for name in f"{_PROSE} {_CODE}".split()) | CONVERTED_SUFFIXES
NAMES = frozenset({"AUTHORS", "CHANGELOG", "CONTRIBUTING", "Dockerfile", "LICENSE", "Makefile", "NOTICE", "README"})
_SKIPPED_FOLDERS = frozenset({"__pycache__", "build", "dist", "node_modules", "target", "venv"})
_PATH: TypeAdapter[str] = TypeAdapter(DocumentPath)


class NothingThere(Exception):
    """A path that was given is no file and no folder that can be read, or two would become the same document."""


@dataclass(frozen=True)
class Text:
    """A file to ingest; `path` is its name in the knowledge base, `origin` the tag of the folder that held it."""

    path: str
    text: str
    origin: str | None = None


@dataclass(frozen=True)
class Convertible:
    """A file that the knowledge base converts to a text; read when it is sent, for many of them are large."""

    path: str
    file: Path
    origin: str | None = None


@dataclass(frozen=True)
class Skipped:
    """A file that is there but not ingested; `chosen`: it was named itself, so somebody expects it to be."""

    path: str
    reason: str
    chosen: bool = False


def origin(folder: Path) -> str:
    """A tag that tells this folder from another of the same name, on any machine, without giving its place away."""
    return "folder-" + hashlib.sha256(f"{platform.node()}:{folder.resolve()}".encode()).hexdigest()[:16]


async def read(paths: Iterable[Path]) -> list[Text | Convertible | Skipped]:
    """Every file of the paths; a folder's files are named by the folder and their place in it. Raises NothingThere."""
    found: dict[str, tuple[Path, Text | Convertible | Skipped]] = {}
    for root in _resolved(paths):
        for file in await _of(root):
            name = _name(root, file)
            if name in found and found[name][0] != file:
                raise NothingThere(
                    f"{found[name][0]} and {file} would both be {name}: ingest them from a common folder"
                )
            result = _read(file, name, chosen=file == root)
            if isinstance(result, Skipped):
                result = replace(result, chosen=file == root)
            in_folder = not isinstance(result, Skipped) and root.is_dir()
            found[name] = file, replace(result, origin=origin(root)) if in_folder else result
    return [result for _, result in found.values()]


def _resolved(paths: Iterable[Path]) -> list[Path]:
    roots = [path.resolve() for path in paths]
    for root in roots:
        if not root.exists():
            raise NothingThere(f"there is no {root}")
    return roots


async def _of(root: Path) -> list[Path]:
    """What git tracks or would track, where the folder is in a repository; else all but hidden and made files."""
    if _is_file(root):
        return [root]
    git = Git(root)
    if await git.agrees("rev-parse", "--is-inside-work-tree") and not await git.agrees("check-ignore", "--quiet", "."):
        listed = await git.lines("ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate", "-z")
        return _existing(root, listed)
    return list(_walk(root))


def _is_file(path: Path) -> bool:
    return not path.is_dir()


def _existing(root: Path, names: Iterable[str]) -> list[Path]:
    """git also lists what was deleted and not yet committed."""
    return sorted(root / name for name in names if os.path.lexists(root / name))


def _walk(root: Path) -> Iterator[Path]:
    for folder, subfolders, files in os.walk(root, onerror=_unreadable):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith(".") and name not in _SKIPPED_FOLDERS)
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _unreadable(error: OSError) -> None:
    """Not silently left out: what seems to be gone is pruned."""
    raise NothingThere(f"{error.filename} cannot be read: {error.strerror}") from error


def _name(root: Path, file: Path) -> str:
    """The folder's name and the place in it; `file` may be the root itself."""
    return Path(root.name, file.relative_to(root)).as_posix()


def _read(file: Path, name: str, *, chosen: bool) -> Text | Convertible | Skipped:
    """A file that was named itself (`chosen`) may have any suffix."""
    try:
        if reason := _unfit(file, name, chosen=chosen):
            return Skipped(name, reason)
        if is_converted(name):
            return Convertible(name, file)
        text = file.read_bytes().decode()
    except UnicodeDecodeError as error:
        return Skipped(name, f"not UTF-8 text: {error.reason} at byte {error.start}")
    except OSError as error:
        return Skipped(name, error.strerror or str(error))
    if "\0" in text:
        return Skipped(name, "binary")
    return Text(name, text) if text.strip() else Skipped(name, "empty")


def _unfit(file: Path, name: str, *, chosen: bool) -> str | None:
    if file.is_symlink() or not file.is_file():
        return "a link" if file.is_symlink() else "not a file"
    if not chosen and file.suffix.lower() not in SUFFIXES and file.name not in NAMES:
        return f"not known as text or source code ({file.suffix or 'no suffix'})"
    most = MAX_FILE_BYTES if is_converted(name) else MAX_DOCUMENT_BYTES
    if (size := file.stat().st_size) > most:
        return f"{size / (1 << 20):.1f} MiB; at most {most >> 20} MiB are indexed"
    if not size:
        return "empty"
    try:
        _PATH.validate_python(name)
    except ValidationError as error:
        return f"its path does not fit: {error.errors()[0]['msg']}"
    return None
