"""The environment that a candidate runs in: its locked dependencies, installed once per lock, then only read.

Wheels only, so that no code of a candidate or its dependencies runs while installing. The sandbox user sees the
directory read-only; its name is the digest of all that went into it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import shutil
import signal
import sys
import sysconfig
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from worksite.validator.domain.locks import Lock, find_lock, is_lock_input
from worksite.validator.domain.pins import LockUnusable
from worksite.validator.store import Held, ReadOnlyStore, bytes_in
from worksite.validator.tree import Tree

MAX_ENVIRONMENT_BYTES = 1 << 30
INSTALL_SECONDS = 300.0
_MEASURE_SECONDS = 0.5
_MAX_LOCK_BYTES = 4 << 20
_WORK = ".installing"  # no module can have this name


class EnvironmentUnavailable(Exception):
    """It cannot be built: the candidate cannot be judged, which says nothing about it."""


@dataclass(frozen=True)
class CandidateEnvironment:
    """`path` has the installed distributions; None, like `lock`, where the project needs none.

    It stays as long as somebody holds this object.
    """

    path: Path | None
    digest: str | None
    lock: str | None
    held: Held | None = field(default=None, repr=False)

    @property
    def paths(self) -> tuple[Path, ...]:
        """What belongs on the import path."""
        return (self.path,) if self.path else ()

    def has(self, package: str) -> bool:
        """Whether this import package or module is installed."""
        return self.path is not None and ((self.path / package).is_dir() or (self.path / f"{package}.py").is_file())


NO_DEPENDENCIES = CandidateEnvironment(None, None, None)


class Environments:
    """Builds environments from a local wheelhouse and, where allowed, from the package index.

    Those that nobody uses are kept for the next change, as long as all together take `max_bytes` at most.
    """

    def __init__(self, root: Path, wheelhouse: Path | None, allow_index: bool, max_bytes: int) -> None:
        self._store = ReadOnlyStore(root / "environments", max_bytes)
        self._wheelhouse = wheelhouse
        self._allow_index = allow_index
        self._store.prune()

    async def provide(self, tree: Tree) -> CandidateEnvironment:
        """The environment of the lock in `tree`. Raises EnvironmentUnavailable with the reason."""
        try:
            lock = await asyncio.to_thread(lambda: find_lock(_texts(tree)))
        except LockUnusable as error:
            raise EnvironmentUnavailable(str(error)) from error
        if lock is None:
            return NO_DEPENDENCIES

        async def build(target: Path) -> None:
            await self._install(lock, target)

        digest = _digest(lock)
        held = await self._store.provide(digest, build)
        return CandidateEnvironment(held.path, digest, lock.name, held)

    async def _install(self, lock: Lock, target: Path) -> None:
        requirements = target / "requirements.txt"
        requirements.write_text(lock.requirements())
        sources = ["--find-links", str(self._wheelhouse)] if self._wheelhouse else []
        sources += [] if self._allow_index else ["--no-index", "--isolated"]
        hashes = ["--require-hashes"] if lock.hashed else []
        options = ["--only-binary", ":all:", "--no-compile", "--disable-pip-version-check", "--no-input", "--quiet"]
        code, said = await _python(
            *("-m", "pip", "install", *options, *hashes, *sources),
            *("--target", str(target), "-r", str(requirements)),
            target=target,
            offline=not self._allow_index,
        )
        if code:
            raise EnvironmentUnavailable(f"{lock.name} cannot be installed: {_reason(said)}{self._where()}")
        # In one process: a pool's workers would wait for ever if this service were killed.
        await _python("-m", "compileall", "-q", str(target), target=target, offline=True)

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


async def _python(*arguments: str, target: Path, offline: bool) -> tuple[int, str]:
    """Run the service's own interpreter with nothing of its environment that could steer pip.

    Its temporary files lie in `target` too, so that they count; its own working directory is empty, because pip takes
    a requirement for a file when there is one of that name.
    """
    work = target / _WORK
    work.mkdir()
    environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": str(work)}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "HOME": str(work), "PIP_NO_CACHE_DIR": "1"}
    kept = () if offline else ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "HTTPS_PROXY")
    environment |= {name: os.environ[name] for name in kept if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-I", *arguments),
        cwd=work,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    talking = asyncio.create_task(process.communicate())
    try:
        await _bounded(talking, target)
        output, _ = await talking
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
        talking.cancel()
    await asyncio.to_thread(shutil.rmtree, work)
    return process.returncode or 0, output.decode(errors="replace")


async def _bounded(talking: asyncio.Task[tuple[bytes, bytes]], target: Path) -> None:
    """Wait for the end. Raises EnvironmentUnavailable when it takes too long or `target` grows too large."""
    deadline = asyncio.get_running_loop().time() + INSTALL_SECONDS
    while True:
        done, _ = await asyncio.wait([talking], timeout=_MEASURE_SECONDS)
        if await asyncio.to_thread(bytes_in, target) > MAX_ENVIRONMENT_BYTES:
            raise EnvironmentUnavailable(f"the environment is larger than {MAX_ENVIRONMENT_BYTES >> 20} MiB")
        if done:
            return
        if asyncio.get_running_loop().time() > deadline:
            raise EnvironmentUnavailable(f"installing took longer than {INSTALL_SECONDS:.0f} s")
