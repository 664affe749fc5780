"""What the validator brings into the sandbox: its own programs, and the tools it judges with.

The tools are copied from the service's own installation, file by file as their records say: nothing is downloaded,
and a candidate's lock has no say in them. Each lies apart, so that no candidate can import what it did not lock.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from worksite.validator.domain.pins import holds
from worksite.validator.store import Held, ReadOnlyStore

_HERE = Path(__file__).parent
MAX_TOOLS_BYTES = 1 << 30
_TOOLS = ("pytest", "ruff", "bandit", "detect-secrets")
_PROGRAMS = (
    "acceptance/asgi_host.py",
    "acceptance/channel.py",
    "acceptance/examiner.py",
    "acceptance/object_host.py",
    "acceptance/remote.py",
    "acceptance/values.py",
    "selfreport/driver.py",
    "checks/scan_secrets.py",
    "checks/scan_tampering.py",
    "checks/bandit.ini",
)


@dataclass(frozen=True)
class Tools:
    """Directories below the sandbox's root; `programs` holds ours, the others one importable tool each.

    They stay as long as somebody holds this object.
    """

    programs: Path
    pytest: Path
    ruff: Path
    bandit: Path
    detect_secrets: Path
    held: tuple[Held, ...] = field(repr=False)

    def program(self, name: str) -> Path:
        """One of our own programs, e.g. `driver.py`."""
        return self.programs / name


async def install_tools(root: Path) -> Tools:
    """Put everything below `root`, where the sandbox user can read it."""
    store = ReadOnlyStore(root / "tools", MAX_TOOLS_BYTES)
    held = (await _programs(store), *[await _tool(store, name) for name in _TOOLS])
    return Tools(*(each.path for each in held), held=held)


async def _programs(store: ReadOnlyStore) -> Held:
    sources = {Path(name).name: (_HERE / name).read_bytes() for name in _PROGRAMS}
    digest = hashlib.sha256(b"\0".join(sources[name] for name in sorted(sources))).hexdigest()

    async def build(target: Path) -> None:
        for name, content in sources.items():
            (target / name).write_bytes(content)

    return await store.provide(f"programs-{digest[:16]}", build)


async def _tool(store: ReadOnlyStore, name: str) -> Held:
    needed = {each.name: each for each in _closure(name)}
    versions = [sys.version, *(f"{each}=={needed[each].version}" for each in sorted(needed))]
    digest = hashlib.sha256("\n".join(versions).encode()).hexdigest()

    async def build(target: Path) -> None:
        for each in needed.values():
            await asyncio.to_thread(_copy, each, target)

    return await store.provide(f"{name}-{digest[:16]}", build)


def _closure(name: str) -> Iterator[Distribution]:
    """A distribution and all that it requires here, without extras."""
    pending, seen = [name], set[str]()
    while pending:
        current = canonicalize_name(pending.pop())
        if current in seen:
            continue
        seen.add(current)
        found = distribution(current)
        yield found
        requirements = map(Requirement, found.requires or ())
        pending += [each.name for each in requirements if each.marker is None or holds(each.marker)]


def _copy(installed: Distribution, target: Path) -> None:
    """Its modules and metadata to `target`, its executables to `target/bin`."""
    for file in installed.files or ():
        source = Path(str(installed.locate_file(file)))
        if ".." in file.parts and source.parent.name != "bin":
            continue
        place = target / "bin" / source.name if ".." in file.parts else target / file
        if source.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)
