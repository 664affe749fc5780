"""From a bundle to plain files: the trees to judge, exported without ever running git in a candidate's directory.

The repository is bare and ours: no hooks, no configuration of the machine, objects checked on arrival. Contents come
through `git cat-file`, so no attribute, filter or symlink of the candidate takes effect.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from worksite.common.errors import StepRefused

MIB = 1 << 20
MAX_FILES = 20_000
MAX_TREE_BYTES = 96 * MIB
MAX_FILE_BYTES = 8 * MIB
MAX_PATH_BYTES = 1024
GIT_SECONDS = 60.0

_ENVIRONMENT = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
_SAFE = ("-c", "core.hooksPath=/dev/null", "-c", "transfer.fsckObjects=true", "-c", "gc.auto=0")
_REGULAR = {"100644": 0o644, "100664": 0o644, "100755": 0o755}


@dataclass(frozen=True)
class Refused:
    """An entry of the commit that is not written, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Tree:
    """A commit as plain files below `path`; `files` are relative to it and sorted."""

    path: Path
    files: tuple[str, ...]
    refused: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class _Entry:
    path: str
    mode: str
    oid: str
    size: int


class Repository:
    """The commits of one or more bundles."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @classmethod
    async def create(cls, directory: Path) -> Repository:
        """An empty one, in a directory that does not exist yet."""
        await _git(directory.parent, "init", "--quiet", "--bare", "--template=", str(directory))
        return cls(directory)

    async def add(self, bundle: bytes) -> None:
        """Take the objects of a bundle. Raises StepRefused when it is broken."""
        file = self._directory / "incoming.bundle"
        file.write_bytes(bundle)
        try:
            await _git(self._directory, "fetch", "--quiet", "--no-tags", "--force", str(file), "+refs/*:refs/bundled/*")
        except GitFailed as error:
            raise StepRefused("bundle-invalid", f"the bundle cannot be read: {error}") from error
        finally:
            file.unlink()

    async def has(self, commit: str) -> bool:
        """Whether this commit is here."""
        try:
            return (await _git(self._directory, "cat-file", "-t", commit)).strip() == b"commit"
        except GitFailed:
            return False

    async def export(self, commit: str, target: Path) -> Tree:
        """Write the commit's regular files below `target`. Raises StepRefused when it is unknown or too big."""
        if not await self.has(commit):
            raise StepRefused("commit-unknown", f"the bundle does not contain commit {commit}")
        entries = _parse_listing(await _git(self._directory, "ls-tree", "-r", "-z", "-l", "--full-tree", commit))
        faults = {entry: fault for entry in entries if (fault := _fault(entry))}
        kept = [entry for entry in entries if entry not in faults]
        if len(kept) > MAX_FILES or sum(entry.size for entry in kept) > MAX_TREE_BYTES:
            limit = f"{MAX_FILES} files and {MAX_TREE_BYTES // MIB} MiB"
            raise StepRefused("tree-too-large", f"commit {commit} has more than {limit}")
        contents = await self._contents({entry.oid for entry in kept})
        await asyncio.to_thread(_write, target, kept, contents)
        return Tree(target, tuple(sorted(entry.path for entry in kept)), tuple(faults.values()))

    async def _contents(self, oids: set[str]) -> dict[str, bytes]:
        asked = sorted(oids)
        answer = await _git(self._directory, "cat-file", "--batch", stdin="".join(f"{o}\n" for o in asked).encode())
        contents: dict[str, bytes] = {}
        position = 0
        for oid in asked:
            header_end = answer.index(b"\n", position)
            size = int(answer[position:header_end].split(b" ")[2])
            contents[oid] = answer[header_end + 1 : header_end + 1 + size]
            position = header_end + 1 + size + 1
        return contents


def _parse_listing(listing: bytes) -> list[_Entry]:
    entries: list[_Entry] = []
    for record in listing.split(b"\0"):
        if record:
            attributes, _, path = record.partition(b"\t")
            mode, _, oid, size = attributes.decode().split()
            entries.append(_Entry(os.fsdecode(path), mode, oid, 0 if size == "-" else int(size)))
    return entries


def _fault(entry: _Entry) -> Refused | None:
    if entry.mode not in _REGULAR:
        kind = {"120000": "a symbolic link", "160000": "a submodule"}.get(entry.mode, f"of mode {entry.mode}")
        return Refused(entry.path, f"is {kind}; only regular files are judged")
    parts = entry.path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        return Refused(entry.path, "is not a path inside the project")
    if len(os.fsencode(entry.path)) > MAX_PATH_BYTES or not entry.path.isprintable():
        return Refused(ascii(entry.path)[1:-1][:200], "has an unusable name")
    if entry.size > MAX_FILE_BYTES:
        return Refused(entry.path, f"has {entry.size / MIB:.1f} MiB; at most {MAX_FILE_BYTES // MIB} are judged")
    return None


def _write(target: Path, entries: list[_Entry], contents: dict[str, bytes]) -> None:
    """Create every file anew: nothing is followed and nothing overwritten, because no link is ever written."""
    for entry in entries:
        path = target / PurePosixPath(entry.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _REGULAR[entry.mode])
        with os.fdopen(descriptor, "wb") as file:
            file.write(contents[entry.oid])


class GitFailed(Exception):
    """git did not do it; the text is what it said."""


async def _git(directory: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    process = await asyncio.create_subprocess_exec(
        "git",
        *_SAFE,
        *arguments,
        cwd=directory,
        env=_ENVIRONMENT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(GIT_SECONDS):
            output, errors = await process.communicate(stdin)
    except TimeoutError:
        raise GitFailed(f"git {arguments[0]} took longer than {GIT_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        said = errors.decode(errors="replace").strip().splitlines()
        raise GitFailed(said[-1][:300] if said else f"git {arguments[0]} exited with {process.returncode}")
    return output
