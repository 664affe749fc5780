"""Keeps processes alive: restart with back-off after a crash, one log stream, an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_FIRST_RESTART_SECONDS, _LAST_RESTART_SECONDS = 0.3, 10.0
_HEALTHY_AFTER_SECONDS = 20.0
_LAST_WORDS_SECONDS = 5.0
_GIVE_UP_AFTER = 5
_BY_SOMEBODY_ELSE = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}
MAX_LOG_LINE_BYTES = 1 << 20


@dataclass
class Program:
    """One supervised process. Exit status 2 means that it cannot start; it is not tried again."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    grace_seconds: float = 15.0
    scratch: Path | None = None
    """A folder of its own, emptied before each start: whatever it leaves when it is killed is of no use."""
    pid: int | None = None
    restarts: int = 0
    last_end: str = ""
    stopping: asyncio.Event = field(default_factory=asyncio.Event, repr=False)


class CannotStart(Exception):
    """A program ended again and again at once; the text carries its last words."""


class Supervisor:
    """Runs programs until `stop`. `log` gets every line they write, with the program's name; they keep the descriptors
    `inherited` open as long as they live."""

    def __init__(self, log: Callable[[str, str], None], inherited: Sequence[int] = ()) -> None:
        self._log = log
        self._inherited = inherited
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._programs: dict[str, Program] = {}
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def programs(self) -> list[Program]:
        """What is supervised, in order of start."""
        return list(self._programs.values())

    def start(self, program: Program) -> None:
        """Start it and keep it running."""
        self._programs[program.name] = program
        self._tasks[program.name] = asyncio.create_task(self._keep(program))

    def account(self, names: Iterable[str]) -> str:
        """Each of these programs, with how it ended last if it did."""
        ends = {name: self._programs[name].last_end for name in names}
        return ", ".join(f"{name} ({end})" if end else name for name, end in ends.items())

    async def restart(self, name: str) -> None:
        """End it; it is started again like one that crashed."""
        await self._shut_down(name)

    async def stop(self, name: str) -> None:
        """End it for good."""
        self._programs[name].stopping.set()
        await self._shut_down(name)
        # Its last words are read and its pipe is closed, unless somebody who left its session holds that open.
        task = self._tasks[name]
        await asyncio.wait({task}, timeout=_LAST_WORDS_SECONDS)
        task.cancel()
        await asyncio.wait({task})

    async def _shut_down(self, name: str) -> None:
        """SIGTERM, then SIGKILL after the program's grace."""
        program, process = self._programs[name], self._processes.get(name)
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(_exited(process), program.grace_seconds)
        except TimeoutError:
            self._log(name, f"did not stop within {program.grace_seconds:.0f} s: killed")
            process.kill()
            await _exited(process)

    async def _keep(self, program: Program) -> None:
        delay, quick_failures = _FIRST_RESTART_SECONDS, 0
        while not program.stopping.is_set():
            started = time.monotonic()
            status, last_words = await self._run_once(program)
            if program.stopping.is_set():
                return
            healthy = time.monotonic() - started > _HEALTHY_AFTER_SECONDS
            program.last_end = _end(status, last_words)
            # Ended by itself soon after its start, or by a fault of its own: it probably cannot run here.
            quick_failures = 0 if healthy or status in _BY_SOMEBODY_ELSE else quick_failures + 1
            delay = _FIRST_RESTART_SECONDS if healthy else min(delay * 2, _LAST_RESTART_SECONDS)
            if quick_failures >= _GIVE_UP_AFTER or status == 2:
                self._give_up(program, last_words if status == 2 else program.last_end)
                return
            program.restarts += 1
            self._log(program.name, f"{_how(status)}; restarting in {delay:.1f} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(program.stopping.wait(), delay)

    async def _run_once(self, program: Program) -> tuple[int, str]:
        if program.scratch:
            await asyncio.to_thread(_emptied, program.scratch)
        process = await asyncio.create_subprocess_exec(
            *program.argv,
            env=dict(program.env),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=MAX_LOG_LINE_BYTES,
            start_new_session=True,  # Ctrl-C reaches only us; we stop the programs in order
            preexec_fn=_die_with_parent,
            pass_fds=self._inherited,
        )
        program.pid = process.pid
        self._processes[program.name] = process
        if program.stopping.is_set():  # it was stopped while it was being started
            process.terminate()
        reading = asyncio.create_task(self._read(program.name, process))
        status = await _exited(process)
        # Children that outlive it would hold its pipe and its ports; the session is ours, so it ends with its leader.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return status, await reading

    async def _read(self, name: str, process: asyncio.subprocess.Process) -> str:
        """Log every line; returns the last one."""
        assert process.stdout
        last_words = ""
        while line := await _line(process.stdout):
            last_words = line.rstrip() or last_words
            self._log(name, line.rstrip())
        return last_words

    def _give_up(self, program: Program, reason: str) -> None:
        if not self.failed.done():
            reason = reason.removeprefix(f"{program.name}: ")
            self.failed.set_exception(CannotStart(f"{program.name} cannot start: {reason}"))


def _emptied(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)


def _how(status: int) -> str:
    return f"ended with status {status}" if status >= 0 else f"killed by signal {-status}, {signal.strsignal(-status)}"


def _end(status: int, last_words: str) -> str:
    """How a program ended, with its last words."""
    return f"{_how(status)}: {last_words}" if last_words else _how(status)


async def _exited(process: asyncio.subprocess.Process) -> int:
    """Its status, as soon as it has ended. `Process.wait` may also wait for whoever inherited its output."""
    while process.returncode is None:  # noqa: ASYNC110 - asyncio offers no event that is free of the pipes
        await asyncio.sleep(0.02)
    return process.returncode


async def _line(stream: asyncio.StreamReader) -> str:
    """The next line; an overlong one is cut rather than ending the log."""
    try:
        return (await stream.readline()).decode(errors="replace")
    except ValueError:
        return "(a line over 1 MiB was dropped)\n"


def _die_with_parent() -> None:
    """A supervisor that is killed must not leave its stack behind."""
    parent = os.getppid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the call above
        os.kill(os.getpid(), signal.SIGTERM)
