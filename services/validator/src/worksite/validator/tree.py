"""From a bundle to plain files: the trees to judge, exported without ever running git in a candidate's directory.

The repository is bare and ours: no hooks, no configuration of the machine, objects checked on arrival. Contents come
through `git cat-file`, so no attribute, filter or symlink of the candidate takes effect.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from worksite.common.errors import StepRefused

MIB = 1 << 20
MAX_FILES = 20_000
MAX_TREE_BYTES = 96 * MIB
MAX_FILE_BYTES = 8 * MIB
MAX_LISTING_BYTES = 8 * MIB
MAX_PATCH_BYTES = MIB
MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255  # of most file systems
MAX_DEPTH = 64
GIT_SECONDS = 60.0
_CHUNK = 1 << 16

_ENVIRONMENT = {
    "PATH": os.environ.get("PATH", os.defpath),
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
}
_SAFE = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "transfer.fsckObjects=true"),
    *("-c", "gc.auto=0"),
    *("-c", "core.quotePath=false"),
)
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""Which git knows without having it."""
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

    async def descends(self, head: str, base: str) -> bool:
        """Is the base an ancestor of the head, or the head itself?"""
        try:
            await _git(self._directory, "merge-base", "--is-ancestor", base, head)
        except GitFailed:
            return False
        return True

    async def patch(self, base: str | None, head: str) -> str:
        """What the head changes, as git writes it, cut off where it is too long to be read; without a base it is all
        of the head. Raises GitFailed."""
        command = ("diff", "--no-color", "--no-ext-diff", "--no-textconv", "--no-renames", base or _EMPTY_TREE, head)
        async with _running(self._directory, *command, "--") as process:
            assert process.stdout is not None
            try:
                found = await process.stdout.readexactly(MAX_PATCH_BYTES)
            except asyncio.IncompleteReadError as error:
                found = error.partial
                _, errors = await process.communicate()
                _check(process, "diff", errors)
        return found.decode(errors="replace")

    async def export(self, commit: str, target: Path) -> Tree:
        """Write the commit's regular files below `target`. Raises StepRefused when it is unknown, broken or too big."""
        if not await self.has(commit):
            raise StepRefused("commit-unknown", f"the bundle does not contain commit {commit}")
        try:
            entries = _parse_listing(await self._listing(commit))
            faults = {entry: fault for entry in entries if (fault := _fault(entry))}
            kept = [entry for entry in entries if entry not in faults]
            if sum(entry.size for entry in kept) > MAX_TREE_BYTES:
                raise _too_large(commit)
            contents = await self._contents({entry.oid for entry in kept})
            await asyncio.to_thread(_write, target, kept, contents)
        except (GitFailed, _Broken) as error:
            raise StepRefused("bundle-invalid", f"commit {commit} cannot be read: {error}") from error
        return Tree(target, tuple(sorted(entry.path for entry in kept)), tuple(faults.values()))

    async def _listing(self, commit: str) -> bytes:
        """Read as it comes: a few trees that name each other can stand for more entries than fit in any memory."""
        listing, files = bytearray(), 0
        async with _running(self._directory, "ls-tree", "-r", "-z", "-l", "--full-tree", commit) as process:
            assert process.stdout is not None
            while chunk := await process.stdout.read(_CHUNK):
                listing += chunk
                files += chunk.count(b"\0")
                if files > MAX_FILES or len(listing) > MAX_LISTING_BYTES:
                    raise _too_large(commit)
            _, errors = await process.communicate()
        _check(process, "ls-tree", errors)
        return bytes(listing)

    async def _contents(self, oids: set[str]) -> dict[str, bytes]:
        asked = sorted(oids)
        answer = await _git(self._directory, "cat-file", "--batch", stdin="".join(f"{o}\n" for o in asked).encode())
        contents: dict[str, bytes] = {}
        position = 0
        for oid in asked:
            header_end = answer.index(b"\n", position)
            header = answer[position:header_end].split(b" ")
            if len(header) != 3:
                raise _Broken(f"object {oid} is missing")
            size = int(header[2])
            contents[oid] = answer[header_end + 1 : header_end + 1 + size]
            position = header_end + 1 + size + 1
        return contents


def _parse_listing(listing: bytes) -> list[_Entry]:
    entries: list[_Entry] = []
    for record in listing.split(b"\0"):
        if record:
            attributes, _, path = record.partition(b"\t")
            mode, _, oid, size = attributes.decode().split()
            if not (size == "-" or size.isdecimal()):
                raise _Broken(f"object {oid} is missing")
            entries.append(_Entry(os.fsdecode(path), mode, oid, 0 if size == "-" else int(size)))
    return entries


def _too_large(commit: str) -> StepRefused:
    limit = f"{MAX_FILES} files and {MAX_TREE_BYTES // MIB} MiB"
    return StepRefused("tree-too-large", f"commit {commit} has more than {limit}")


def _fault(entry: _Entry) -> Refused | None:
    parts = entry.path.split("/")
    if not entry.path.isprintable() or not _fits(parts):
        return Refused(ascii(entry.path)[1:-1][:200], "has an unusable name")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts):
        return Refused(entry.path, "is not a path inside the project")
    if entry.mode not in _REGULAR:
        kind = {"120000": "a symbolic link", "160000": "a submodule"}.get(entry.mode, f"of mode {entry.mode}")
        return Refused(entry.path, f"is {kind}; only regular files are judged")
    if entry.size > MAX_FILE_BYTES:
        return Refused(entry.path, f"has {entry.size / MIB:.1f} MiB; at most {MAX_FILE_BYTES // MIB} are judged")
    return None


def _fits(parts: list[str]) -> bool:
    sizes = [len(os.fsencode(part)) for part in parts]
    return len(parts) <= MAX_DEPTH and max(sizes) <= MAX_NAME_BYTES and sum(sizes) + len(parts) <= MAX_PATH_BYTES


def _write(target: Path, entries: list[_Entry], contents: dict[str, bytes]) -> None:
    """Create every file anew: nothing is followed and nothing overwritten, because no link is ever written."""
    for entry in entries:
        path = target / PurePosixPath(entry.path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _REGULAR[entry.mode])
        except (FileExistsError, NotADirectoryError) as error:
            raise _Broken(f"two entries have the path {entry.path}") from error
        with os.fdopen(descriptor, "wb") as file:
            file.write(contents[entry.oid])


class GitFailed(Exception):
    """git did not do it; the text is what it said."""


class _Broken(Exception):
    """The objects contradict each other."""


async def _git(directory: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    async with _running(directory, *arguments) as process:
        output, errors = await process.communicate(stdin)
    _check(process, arguments[0], errors)
    return output


@asynccontextmanager
async def _running(directory: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A git process that ends with the block. Raises GitFailed when the block takes longer than GIT_SECONDS."""
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
            yield process
    except TimeoutError:
        raise GitFailed(f"git {arguments[0]} took longer than {GIT_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def _check(process: asyncio.subprocess.Process, command: str, errors: bytes) -> None:
    if process.returncode:
        said = errors.decode(errors="replace").strip().splitlines()
        raise GitFailed(said[-1][:300] if said else f"git {command} exited with {process.returncode}")
