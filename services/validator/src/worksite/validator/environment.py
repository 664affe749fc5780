"""The environment that a candidate runs in: its locked dependencies, installed once per lock, then only read.

Wheels only, so that no code of a candidate or its dependencies runs while installing. The sandbox user sees the
directory read-only; its name is the digest of all that went into it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from worksite.validator.domain.locks import Lock, find_lock, is_lock_input
from worksite.validator.domain.pins import LockUnusable
from worksite.validator.store import ReadOnlyStore
from worksite.validator.tree import Tree

KEPT_ENVIRONMENTS = 20
INSTALL_SECONDS = 300.0
_MAX_LOCK_BYTES = 4 << 20


class EnvironmentUnavailable(Exception):
    """It cannot be built: the candidate cannot be judged, which says nothing about it."""


@dataclass(frozen=True)
class CandidateEnvironment:
    """`path` holds the installed distributions; None, like `lock`, where the project needs none."""

    path: Path | None
    digest: str | None
    lock: str | None

    @property
    def paths(self) -> tuple[Path, ...]:
        """What belongs on the import path."""
        return (self.path,) if self.path else ()

    def has(self, package: str) -> bool:
        """Whether this import package or module is installed."""
        return self.path is not None and ((self.path / package).is_dir() or (self.path / f"{package}.py").is_file())


NO_DEPENDENCIES = CandidateEnvironment(None, None, None)


class Environments:
    """Builds environments from a local wheelhouse and, where allowed, from the package index."""

    def __init__(self, root: Path, wheelhouse: Path | None, allow_index: bool) -> None:
        self._store = ReadOnlyStore(root / "environments")
        self._wheelhouse = wheelhouse
        self._allow_index = allow_index
        self._store.prune(KEPT_ENVIRONMENTS)

    async def provide(self, tree: Tree) -> CandidateEnvironment:
        """The environment of the lock in `tree`. Raises EnvironmentUnavailable with the reason."""
        try:
            lock = find_lock(_texts(tree))
        except LockUnusable as error:
            raise EnvironmentUnavailable(str(error)) from error
        if lock is None:
            return NO_DEPENDENCIES

        async def build(target: Path) -> None:
            await self._install(lock, target)

        digest = _digest(lock)
        path = await self._store.provide(digest, build)
        return CandidateEnvironment(path, digest, lock.name)

    async def _install(self, lock: Lock, target: Path) -> None:
        requirements = target / "requirements.txt"
        requirements.write_text(lock.requirements())
        sources = ["--find-links", str(self._wheelhouse)] if self._wheelhouse else []
        sources += [] if self._allow_index else ["--no-index"]
        hashes = ["--require-hashes"] if lock.hashed else []
        options = ["--only-binary", ":all:", "--no-compile", "--disable-pip-version-check", "--no-input", "--quiet"]
        code, said = await _python(
            *("-m", "pip", "install", *options, *hashes, *sources),
            *("--target", str(target), "-r", str(requirements)),
            offline=not self._allow_index,
        )
        if code:
            raise EnvironmentUnavailable(f"{lock.name} cannot be installed: {_reason(said)}{self._where()}")
        await _python("-m", "compileall", "-q", "-j", "0", str(target), offline=True)

    def _where(self) -> str:
        searched = [f"the wheelhouse {self._wheelhouse}"] if self._wheelhouse else []
        searched += ["the package index"] if self._allow_index else []
        return f" (searched: {' and '.join(searched) or 'nothing, because WHEELHOUSE_DIR is not set'})"


def _texts(tree: Tree) -> dict[str, str]:
    """The files at the top of the project that may be locks."""
    found: dict[str, str] = {}
    for name in tree.files:
        if is_lock_input(name):
            path = tree.path / name
            if path.stat().st_size > _MAX_LOCK_BYTES:
                raise EnvironmentUnavailable(f"{name} is larger than {_MAX_LOCK_BYTES >> 20} MiB")
            found[name] = path.read_text(errors="replace")
    return found


def _digest(lock: Lock) -> str:
    """What an installed environment depends on: the pins, the interpreter and the machine."""
    machine = f"{sys.version} {sysconfig.get_platform()} {platform.libc_ver()}"
    return _sha256(f"{lock.requirements()}\0{machine}")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _reason(said: str) -> str:
    """pip's own errors, without its hints."""
    errors = [line.removeprefix("ERROR: ") for line in said.splitlines() if line.startswith("ERROR: ")]
    return "; ".join(errors)[:1000] or said.strip()[-1000:]


async def _python(*arguments: str, offline: bool) -> tuple[int, str]:
    """Run the service's own interpreter with nothing of its environment that could steer pip."""
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    kept = () if offline else ("HOME", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CONFIG_FILE", "HTTPS_PROXY")
    environment |= {name: os.environ[name] for name in kept if name in os.environ}
    if offline:
        environment["PIP_CONFIG_FILE"] = os.devnull
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", *arguments),
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(INSTALL_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError:
        raise EnvironmentUnavailable(f"installing took longer than {INSTALL_SECONDS:.0f} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace")
