"""The imported project, read out of its bundle: git lists and prints objects, and nothing is ever checked out.

The builder had git check every object when it made the bundle. The commands here run no hook, filter or attribute, and
read no configuration but ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worksite.architect.domain.outline import is_outlined, signatures_of, tree_of
from worksite.common.errors import StepRefused
from worksite.common.llm.agents import ToolFailed

_GIT_SECONDS = 120.0
_MAX_FILE_BYTES = 1 << 20
_MAX_OUTLINED = 300
_REGULAR = (b"100644", b"100755")
_MAX_LINES = 400
_REFS = ("+HEAD:refs/worksite/head", "+refs/*:refs/bundled/*")
"""The base of a review need not be an ancestor of the head; it has a tag of its own."""


@dataclass(frozen=True)
class Project:
    """One commit's text files; `blobs` are object ids by path."""

    directory: Path
    blobs: Mapping[str, str]

    @classmethod
    async def open(cls, directory: Path, bundle: bytes, commit: str) -> Project:
        """In a folder that is there and empty. Raises StepRefused for a bundle without the commit."""
        file = directory / "project.bundle"
        await asyncio.to_thread(file.write_bytes, bundle)
        await _git(directory, "init", "--quiet", "--bare", "--template=", ".")
        await _git(directory, "fetch", "--quiet", "--no-tags", str(file), *_REFS)
        listing = await _git(directory, "ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        return cls(directory, dict(entry for record in listing.split(b"\0") if (entry := _entry(record))))

    async def map(self) -> str:
        """Files and what they define, on a page or two; the same for the same commit."""
        outlined = [path for path in sorted(self.blobs) if is_outlined(path)][:_MAX_OUTLINED]
        sources = zip(outlined, await self._contents(outlined), strict=True)
        return f"{tree_of(list(self.blobs))}\n\n{signatures_of(sources)}".strip()

    async def read(self, path: str, first_line: int) -> str:
        """From that line on, as far as one answer goes. Raises ToolFailed."""
        if path not in self.blobs:
            raise ToolFailed(f"there is no text file {path}")
        (text,) = await self._contents([path])
        lines = text.splitlines()
        shown = lines[first_line - 1 : first_line - 1 + _MAX_LINES]
        last = first_line - 1 + len(shown)
        return "\n".join((f"lines {first_line} to {last} of {len(lines)}", *shown))

    async def _contents(self, paths: list[str]) -> list[str]:
        wanted = "".join(f"{self.blobs[path]}\n" for path in paths).encode()
        found, position = await _git(self.directory, "cat-file", "--batch", stdin=wanted), 0
        contents: list[str] = []
        for _ in paths:
            start = found.index(b"\n", position) + 1
            size = int(found[position:start].split()[2])
            contents.append(found[start : start + size].decode(errors="replace"))
            position = start + size + 1
        return contents


def _entry(record: bytes) -> tuple[str, str] | None:
    """A file that is neither a link nor a submodule nor too large to be read."""
    attributes, _, path = record.partition(b"\t")
    fields = attributes.split()
    if len(fields) != 4 or fields[0] not in _REGULAR or int(fields[3]) > _MAX_FILE_BYTES:
        return None
    return path.decode(errors="backslashreplace"), fields[2].decode()


async def _git(directory: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Raises StepRefused when git cannot do it, TimeoutError."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": os.devnull,
        "LC_ALL": "C",
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        "git", *arguments, cwd=directory, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        async with asyncio.timeout(_GIT_SECONDS):
            output, errors = await process.communicate(stdin)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.communicate()
    if process.returncode:
        said = errors.decode(errors="replace").strip()[-300:]
        raise StepRefused("project_unreadable", f"the project's bundle cannot be read: git {arguments[0]}: {said}")
    return output
