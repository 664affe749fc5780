"""Which entries of an uploaded archive become files of a commit, and which archives are refused.

The names come from anyone. They never reach a file system here: git is told them. But every later clone writes them
out, on systems that fold case and Unicode forms and that know short names, so each has to mean one file everywhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Literal

from worksite.builder.domain.trees import stays_inside
from worksite.common.errors import StepRefused

MAX_ENTRIES = 100_000
MAX_PATH_BYTES, MAX_NAME_BYTES, MAX_DEPTH = 1000, 255, 40
MAX_LINK_BYTES = 1000
USE_A_BUNDLE = "upload a bundle instead (`git bundle create repo.bundle --all`)"
_SHOWN_CHARACTERS = 40
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of controls, invisible formatting, undecodable bytes and line ends."""
_DRIVE = re.compile(r"[A-Za-z]:")
_GIT_FOLDERS = frozenset({".git", "git~1"})
_GIT_FILE = re.compile(r"\.git|gi[0-9a-z]*~\d")
"""Such as .gitmodules, and the short names that NTFS gives them."""
_MACOS_METADATA = "__MACOSX"


@dataclass(frozen=True)
class Entry:
    """What an archive says of one entry; `index` counts its entries, `size` is in bytes."""

    index: int
    path: str
    kind: Literal["file", "folder", "link"]
    size: int = 0
    executable: bool = False
    target: str = ""


@dataclass
class _Folder:
    """Names as they are written, by what a file system may fold them to; None is a file."""

    written: dict[str, str] = field(default_factory=dict[str, str])
    inside: dict[str, _Folder | None] = field(default_factory=dict[str, "_Folder | None"])


def arrange(entries: Iterable[Entry], max_bytes: int) -> list[Entry]:
    """The files and links, with their paths in the commit. A folder that holds everything is left out, as is what
    macOS adds to its zips. Raises StepRefused when there is anything that cannot become a file, or too much."""
    root, kept, total = _Folder(), list[Entry](), 0
    for entry in islice(entries, MAX_ENTRIES + 1):
        if entry.index >= MAX_ENTRIES:
            raise StepRefused("repository_too_large", f"the archive holds more than {MAX_ENTRIES} entries")
        parts = _parts(entry)
        total += entry.size
        if total > max_bytes:
            raise StepRefused("repository_too_large", f"the archive unpacks to more than {max_bytes} bytes")
        if parts and parts[0] != _MACOS_METADATA:
            _place(root, parts, entry)
            kept.append(replace(entry, path="/".join(parts)))
    files = _without_wrapper([entry for entry in kept if entry.kind != "folder"])
    if not files:
        raise StepRefused("empty_archive", "the archive holds no file")
    _check_links(files)
    return files


def shown(name: str) -> str:
    """Enough of a name to find it by."""
    visible = "".join("?" if unicodedata.category(c) in _HIDDEN else c for c in name)
    return repr(visible if len(visible) <= _SHOWN_CHARACTERS else "…" + visible[-_SHOWN_CHARACTERS:])


def unsafe(path: str, fault: str) -> StepRefused:
    """The archive as a whole is refused for one of its entries."""
    return StepRefused("unsafe_archive", f"the archive's entry {shown(path)} {fault}")


def _parts(entry: Entry) -> list[str]:
    path = entry.path
    if _hides_something(path):
        raise unsafe(path, "has a control or invisible character in its name, or is not UTF-8: rename it")
    if "\\" in path:
        raise unsafe(path, "has a backslash in its name: pack the archive with '/' between folders")
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or any(_DRIVE.fullmatch(part) for part in parts):
        raise unsafe(path, "is an absolute path: pack the archive from inside the project's folder")
    if ".." in parts:
        raise unsafe(path, "leads out of the archive with '..': pack it from inside the project's folder")
    _check_lengths(path, parts)
    if any(folded(part.partition(":")[0]).rstrip(". ") in _GIT_FOLDERS for part in parts):
        raise StepRefused(
            "archive_has_git",
            f"the archive holds git's own files ({shown(path)}), whose hooks and settings are not taken over: "
            f"leave them out, or {USE_A_BUNDLE}",
        )
    return parts


def _hides_something(text: str) -> bool:
    return not text.isprintable() and any(unicodedata.category(c) in _HIDDEN for c in text)


def _check_lengths(path: str, parts: list[str]) -> None:
    if len(path.encode()) > MAX_PATH_BYTES or len(parts) > MAX_DEPTH:
        raise unsafe(path, f"is longer than {MAX_PATH_BYTES} bytes or deeper than {MAX_DEPTH} folders")
    if any(len(part.encode()) > MAX_NAME_BYTES for part in parts):
        raise unsafe(path, f"has a name of more than {MAX_NAME_BYTES} bytes")


def _place(folder: _Folder, parts: list[str], entry: Entry) -> None:
    *folders, name = parts
    for part in folders:
        folder = _enter(folder, part, entry.path)
    if entry.kind == "folder":
        _enter(folder, name, entry.path)
        return
    key = folded(name)
    if key in folder.written:
        raise unsafe(entry.path, f"stands beside another of the same name where case does not count: {USE_A_BUNDLE}")
    folder.written[key], folder.inside[key] = name, None


def _enter(folder: _Folder, name: str, path: str) -> _Folder:
    key = folded(name)
    if folder.written.setdefault(key, name) != name:
        raise unsafe(path, f"lies in a folder that is also written in another way: {USE_A_BUNDLE}")
    inside = folder.inside.setdefault(key, _Folder())
    if inside is None:
        raise unsafe(path, "lies in a folder that is also a file")
    return inside


def folded(name: str) -> str:
    """What some file system takes the name for: equal results may be one file there."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _without_wrapper(files: list[Entry]) -> list[Entry]:
    tops = {entry.path.partition("/")[0] for entry in files}
    if len(tops) != 1 or any("/" not in entry.path for entry in files):
        return files
    return [replace(entry, path=entry.path.partition("/")[2]) for entry in files]


def _check_links(files: list[Entry]) -> None:
    for entry in files:
        if entry.kind != "link":
            continue
        if _GIT_FILE.match(folded(entry.path.rpartition("/")[2])):
            raise unsafe(entry.path, "is a link where git expects a file")
        if "\\" in entry.target or _hides_something(entry.target):
            raise unsafe(entry.path, "is a link whose target cannot be written")
        if (
            not entry.target
            or len(entry.target.encode()) > MAX_LINK_BYTES
            or not stays_inside(entry.path, entry.target)
        ):
            raise unsafe(entry.path, "is a link out of the archive: replace it by what it leads to")
