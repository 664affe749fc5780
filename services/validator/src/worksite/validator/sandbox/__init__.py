"""Run untrusted programs: bounded, without network or credentials, and leaving nothing behind.

    service -> keeper (one per run: limits, sweep) -> [bubblewrap] -> jail (rlimits, Landlock, seccomp) -> candidate

The level `jail` needs no privilege and works in ordinary containers; `namespaces` puts bubblewrap around it. A
candidate meets the same world at both: its workspace and scratch directory, what it is given to read, the system's
programs and libraries; no sockets but connected pairs, no /tmp, /dev/shm or readable /proc.

Not covered: kernel bugs behind the remaining system calls, timing and cache side channels, the load on shared
processor cores, and the kernel's own memory (buffers of pipes and socket pairs). Whatever lies under /usr is readable.
In the jail a candidate can ask whether a path exists, and a keeper that an administrator kills cannot sweep. The total
memory is measured every 50 ms, not enforced by the kernel.
"""

from worksite.validator.sandbox.errors import (
    LauncherError,
    LineTooLong,
    SandboxError,
    SandboxUnavailable,
    SessionClosed,
)
from worksite.validator.sandbox.job import Job, Limits, Outcome, Stopped
from worksite.validator.sandbox.sandbox import Isolation, Sandbox
from worksite.validator.sandbox.session import Session
from worksite.validator.sandbox.settings import SandboxSettings
from worksite.validator.sandbox.start import open_sandbox

__all__ = [
    "Isolation",
    "Job",
    "LauncherError",
    "Limits",
    "LineTooLong",
    "Outcome",
    "Sandbox",
    "SandboxError",
    "SandboxSettings",
    "SandboxUnavailable",
    "Session",
    "SessionClosed",
    "Stopped",
    "open_sandbox",
]
