"""The sandbox that a service opens once and runs every candidate in."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import platform
import socket
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal

from worksite.validator.sandbox import metrics
from worksite.validator.sandbox.errors import LauncherError, SessionClosed
from worksite.validator.sandbox.job import Job, Outcome
from worksite.validator.sandbox.locks import new_directory
from worksite.validator.sandbox.namespaces import bubblewrap
from worksite.validator.sandbox.runtime import system_paths
from worksite.validator.sandbox.seccomp import filter_program
from worksite.validator.sandbox.session import Session
from worksite.validator.sandbox.trees import SCRATCH, WORKSPACE, give_tree, remove_tree

_KEEPER = Path(__file__).with_name("keeper")
_RESULT_FD = 3  # fixed in jail.py and in the keeper
_PATH = "/usr/local/bin:/usr/bin:/bin"
_START_SECONDS = 30.0
_CANCELS, _CANCEL_SECONDS = 10, 0.2


Level = Literal["namespaces", "jail", "none"]


@dataclass(frozen=True)
class Isolation:
    """What was proved at start-up. `uid` is the candidate's (or the first of a range, one per concurrent run).

    `shared_uid`: the service itself has that uid, so that only the layers stand between the two.
    """

    level: Level
    uid: int
    shared_uid: bool

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers in words, for logs and reports."""
        own = () if self.shared_uid else ("own user",)
        jail = () if self.level == "none" else ("landlock", "seccomp")
        outer = ("namespaces",) if self.level == "namespaces" else ()
        return (*own, "rlimits", "keeper", *jail, *outer)


@dataclass(frozen=True)
class Equipment:
    """Where the sandbox keeps its things; `bwrap` is None below the level `namespaces`."""

    root: Path
    python: Path
    prefix: Path
    launcher: Path
    bwrap: str | None


class Sandbox:
    """Runs programs. Several may run at the same time; each has its own keeper and, under root, its own uid."""

    def __init__(self, isolation: Isolation, equipment: Equipment) -> None:
        self.isolation = isolation
        self._equipment = equipment
        self._uids_in_use: set[int] = set()

    @property
    def python(self) -> Path:
        """An interpreter that candidates can read and execute, of the service's own version."""
        return self._equipment.python

    @property
    def root(self) -> Path:
        """The directory below which workspaces and environments are within reach of the sandbox user."""
        return self._equipment.root

    async def run(self, job: Job) -> Outcome:
        """Run to the end. Raises `LauncherError` when the program could not be started; cancelling kills it."""
        async with self.open(job) as session:
            with suppress(SessionClosed):  # a program need not read its input
                await session.write(job.stdin)
            return await session.wait()

    @asynccontextmanager
    async def open(self, job: Job) -> AsyncIterator[Session]:
        """Start a program to talk to (`job.stdin` is not sent); on exit everything it started is killed and swept.

        Raises `LauncherError` when the program could not be started.
        """
        with self._uid() as uid, metrics.failures_counted():
            async with self._directory(SCRATCH) as scratch:
                if uid is not None:
                    await _hand_over((job.workspace, scratch), uid)
                session = await _within_limit(self._start(job, scratch, uid))
                try:
                    await session.started()
                    yield session
                finally:
                    await _uninterrupted(session.stop())

    @asynccontextmanager
    async def new_workspace(self) -> AsyncIterator[Path]:
        """A fresh, empty directory below `root`, removed on exit whatever a program left in it."""
        async with self._directory(WORKSPACE) as workspace:
            workspace.chmod(0o711)  # a job's workspace may be a directory below it
            yield workspace

    @asynccontextmanager
    async def _directory(self, prefix: str) -> AsyncIterator[Path]:
        with new_directory(self.root, f"{prefix}{os.getpid()}-") as directory:
            try:
                yield directory
            finally:
                await _uninterrupted(asyncio.to_thread(remove_tree, directory))

    @contextmanager
    def _uid(self) -> Iterator[int | None]:
        """A uid of its own for each run, so that runs count and reach each other's processes and files as little as
        possible; None where the service cannot change it."""
        if self.isolation.shared_uid:
            yield None
            return
        uid = next(uid for uid in count(self.isolation.uid) if uid not in self._uids_in_use)
        self._uids_in_use.add(uid)
        try:
            yield uid
        finally:
            self._uids_in_use.discard(uid)

    async def _start(self, job: Job, scratch: Path, uid: int | None) -> Session:
        with ExitStack() as opened:
            ours, keepers = map(opened.enter_context, socket.socketpair())
            result_read, result_write = (opened.enter_context(os.fdopen(fd, "rb", 0)) for fd in os.pipe())
            keeper = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-I", "-S", str(_KEEPER), str(keepers.fileno()), str(result_write.fileno())),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(keepers.fileno(), result_write.fileno()),
                start_new_session=True,
                env={},
            )
            keepers.close()
            result_write.close()
            try:
                reports, orders = await asyncio.open_connection(sock=ours)
                result = asyncio.StreamReader()
                await asyncio.get_running_loop().connect_read_pipe(
                    lambda: asyncio.StreamReaderProtocol(result), result_read
                )
            except BaseException:
                keeper.kill()  # it has no order yet, so it has started nothing
                await keeper.wait()
                raise
            opened.pop_all()  # from here on the streams own the descriptors
        orders.write(json.dumps(self._order(job, scratch, uid)).encode() + b"\n")
        return Session(keeper, reports, orders, result, job.limits)

    def _order(self, job: Job, scratch: Path, uid: int | None) -> dict[str, Any]:
        """What the keeper has to know."""
        tools = self._equipment
        readable = (*system_paths(), tools.prefix, tools.launcher, *job.readable)
        writable = (job.workspace, scratch)
        outer = bubblewrap(tools.bwrap, readable, writable) if tools.bwrap else ()
        spec = self._launch_spec(job, scratch, readable, writable)
        return {
            "argv": [*outer, str(tools.python), "-I", "-S", str(tools.launcher), json.dumps(spec)],
            "env": {"PATH": _PATH},
            "uid": uid,
            "notify": spec["notify"],
            "first_step": "namespaces" if tools.bwrap else "launcher",
            "wall_seconds": job.limits.wall_seconds,
            "total_memory_bytes": job.limits.total_memory_bytes,
            "processes": job.limits.processes,
            "disk_bytes": job.limits.disk_bytes,
            "watched": [str(path) for path in writable],
        }

    def _launch_spec(
        self, job: Job, scratch: Path, readable: tuple[Path, ...], writable: tuple[Path, ...]
    ) -> dict[str, Any]:
        """What `jail.py` has to know."""
        confined = self.isolation.level != "none"
        notify = self.isolation.level == "jail"
        program = filter_program(platform.machine(), notify_attributes=notify) if confined else b""
        standard = {"PATH": _PATH, "HOME": scratch, "TMPDIR": scratch, "LANG": "C.UTF-8"}
        named = {"USER": "sandbox", "LOGNAME": "sandbox", "WORKSITE_RESULT_FD": _RESULT_FD}
        return {
            "argv": job.argv,
            "env": {name: str(value) for name, value in {**standard, **named, **job.env}.items()},
            "workspace": str(job.workspace),
            "readable": [str(path) for path in readable],
            "writable": [str(path) for path in writable],
            "limits": asdict(job.limits),
            "count_tasks": self.isolation.shared_uid and self.isolation.level != "namespaces",
            "confined": confined,
            "filter": base64.b64encode(program).decode(),
            "notify": notify,
        }


async def _hand_over(trees: tuple[Path, ...], uid: int) -> None:
    for tree in trees:
        try:
            await asyncio.to_thread(give_tree, tree, uid)
        except OSError as error:
            raise LauncherError("workspace", f"it cannot be given to user {uid}: {error}") from error


async def _within_limit(start: Coroutine[Any, Any, Session]) -> Session:
    """A started keeper. Raises LauncherError when it takes too long; a cancelled caller never waits for ever.

    The start is a task of its own: asyncio waits without end for a process whose pipes it was told not to connect, as
    it is when every task is cancelled at once.
    """
    starting = asyncio.create_task(start)
    try:
        async with asyncio.timeout(_START_SECONDS):
            return await asyncio.shield(starting)
    except BaseException as error:
        await _uninterrupted(_abandon(starting))
        if isinstance(error, TimeoutError):
            raise LauncherError("keeper", f"it did not start within {_START_SECONDS:.0f} s") from error
        raise


async def _abandon(starting: asyncio.Task[Session]) -> None:
    """End a start; a keeper that loses its service ends by itself."""
    for _ in range(_CANCELS):
        starting.cancel()
        done, _ = await asyncio.wait([starting], timeout=_CANCEL_SECONDS)
        if done:
            break
    if starting.done() and not starting.cancelled() and not starting.exception():
        await starting.result().stop()


async def _uninterrupted(cleanup: Any) -> None:
    """Finish `cleanup` even if the caller is cancelled once more meanwhile."""
    task = asyncio.ensure_future(cleanup)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
