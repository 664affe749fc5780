"""The processes of one run: everything that descends from the keeper, which adopts all orphans."""

# ruff: noqa: PTH123, PTH208 - pathlib would double the start-up time of this program

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

PAGE = os.sysconf("SC_PAGE_SIZE")
EMPTY_ROUNDS = 3  # a process may fork between being listed and being killed
SWEEP_SECONDS = 10.0


class Unkillable(Exception):
    """Something survived SIGKILL for SWEEP_SECONDS."""


def descendants() -> dict[int, int]:
    """The number of threads of each process."""
    children: dict[int, list[int]] = {}
    threads: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as stat:
                    fields = stat.read().rpartition(b")")[2].split()
            except OSError:
                continue  # ended meanwhile
            children.setdefault(int(fields[1]), []).append(int(name))
            threads[int(name)] = int(fields[17])
    found: dict[int, int] = {}
    pending = [os.getpid()]
    while pending:
        below = children.get(pending.pop(), [])
        found |= {pid: threads[pid] for pid in below}
        pending += below
    return found


def reap(statuses: dict[int, int]) -> None:
    """Collect every child that has ended; `statuses` receives their wait statuses."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        statuses[pid] = status


def sweep(statuses: dict[int, int]) -> None:
    """Kill until nothing is left. Raises `Unkillable`."""
    empty = 0
    deadline = time.monotonic() + SWEEP_SECONDS
    while empty < EMPTY_ROUNDS:
        alive = descendants()
        empty = 0 if alive else empty + 1
        for pid in alive:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        reap(statuses)
        if alive and time.monotonic() > deadline:
            raise Unkillable(f"processes {list(alive)} survived SIGKILL for {SWEEP_SECONDS:.0f} s")
        if alive:
            time.sleep(0.001)


def memory_exceeds(pids: Iterable[int], limit: int) -> bool:
    """Whether the resident memory of these processes is above `limit`, shared pages counted once.

    The resident set is cheap to read but counts shared pages in every process; the exact sum is only taken above it.
    """
    return sum(map(_resident, pids)) > limit and sum(map(_proportional, pids)) > limit


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:
            return int(statm.read().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as rollup:
            return next(int(line.split()[1]) * 1024 for line in rollup if line.startswith(b"Pss:"))
    except (OSError, StopIteration):
        return _resident(pid)  # a process may hide its maps, never its resident set
