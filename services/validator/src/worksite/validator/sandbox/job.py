"""What to run, within which bounds, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

MIB = 1 << 20

Stopped = Literal["wall_clock", "output", "memory", "processes", "disk", "cancelled"]


@dataclass(frozen=True)
class Limits:
    """Bounds of one run.

    Per process, by the kernel: `cpu_seconds`, `memory_bytes` (address space), `file_bytes` (one file), `open_files`.
    Per run, by the kernel: `processes` (threads count); by the keeper where the service's own processes count too.
    Per run, by the keeper, which then stops it: `wall_seconds`, `total_memory_bytes` (resident, shared pages counted
    once), `disk_bytes` (workspace and scratch), `output_bytes` (stdout, stderr each) and `result_bytes`.
    """

    wall_seconds: float = 120
    cpu_seconds: int = 60
    memory_bytes: int = 1024 * MIB
    total_memory_bytes: int = 1024 * MIB
    processes: int = 64
    file_bytes: int = 16 * MIB
    disk_bytes: int = 128 * MIB
    output_bytes: int = MIB
    result_bytes: int = 4 * MIB
    open_files: int = 256


@dataclass(frozen=True)
class Job:
    """One program to run.

    `workspace` is writable and the working directory; the caller owns it and gives a private copy below
    `Sandbox.root`. `readable` trees may be read and executed. `env` comes on top of PATH, HOME, TMPDIR, LANG and
    USER, which the sandbox sets. The program finds the number of its result pipe in `WORKSITE_RESULT_FD`.
    """

    argv: tuple[str, ...]
    workspace: Path
    readable: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    limits: Limits = field(default_factory=Limits)
    stdin: bytes = b""


@dataclass(frozen=True)
class Outcome:
    """How a program ended: by `exit_code`, by `signal`, or because the sandbox `stopped` it (then `signal` is 9)."""

    exit_code: int | None
    signal: int | None
    stopped: Stopped | None
    stdout: bytes
    stderr: bytes
    result: bytes
    duration_seconds: float
