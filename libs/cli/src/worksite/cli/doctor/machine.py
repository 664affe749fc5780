"""The machine itself: system, processor, memory, Python. Each check is told what was found and judges it."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from worksite.cli.doctor.finding import Finding

GIB = 1 << 30
_LEAST_PYTHON = (3, 11)
_LEAST_KERNEL = (6, 2)
_ARCHITECTURES = ("x86_64", "aarch64")
_LINUX_ADVICE = "use a Linux machine or virtual machine"
_COMFORTABLE_MEMORY_BYTES = 2 * GIB
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def checks() -> Iterator[Finding]:
    """Everything about this machine that no program and no file of ours decides."""
    yield system(sys.platform, platform.release())
    yield architecture(platform.machine())
    yield python(sys.version_info[:3], sys.prefix != sys.base_prefix)
    yield processors(len(os.sched_getaffinity(0)))
    yield memory(available_memory())


def system(name: str, release: str) -> Finding:
    """The kernel; whether its isolation works is another check, which tries it."""
    if name != "linux":
        return Finding("system", "missing", f"Worksite runs on Linux and this is {name}", _LINUX_ADVICE)
    version = tuple(int(part) for part in re.findall(r"\d+", release)[:2])
    if version < _LEAST_KERNEL:
        advice = "install a newer kernel (Debian 12: apt install -t bookworm-backports linux-image-amd64)"
        return Finding("system", "warning", f"Linux {release} is older than 6.2, which the sandbox is made for", advice)
    return Finding("system", "ok", f"Linux {release}")


def architecture(machine: str) -> Finding:
    """Packages and the sandbox's system call filter exist for two."""
    if machine in _ARCHITECTURES:
        return Finding("architecture", "ok", machine)
    return Finding("architecture", "missing", f"{machine} is not supported", "use an x86-64 or arm64 machine")


def python(version: tuple[int, ...], in_venv: bool) -> Finding:
    """The interpreter that runs us runs the services too."""
    text = ".".join(map(str, version))
    if version[:2] < _LEAST_PYTHON:
        advice = "install 3.11 or newer and set up with it, e.g. make run PYTHON=python3.12"
        return Finding("python", "missing", f"Python {text} is too old", advice)
    if not in_venv:
        advice = "'make run' makes one and installs what is pinned"
        return Finding("python", "warning", f"Python {text}, outside of a virtual environment", advice)
    return Finding("python", "ok", f"Python {text} in a virtual environment")


def processors(count: int) -> Finding:
    """Those that we may use."""
    if count < 2:
        return Finding("processors", "warning", "1", "judging is made for two; it works, but takes longer")
    return Finding("processors", "ok", str(count))


def memory(available: int | None) -> Finding:
    """What is free for us now."""
    if available is None:
        return Finding("memory", "ok", "unknown: /proc/meminfo cannot be read")
    text = f"{available / GIB:.1f} GiB available"
    if available < _COMFORTABLE_MEMORY_BYTES:
        return Finding("memory", "warning", text, "a judgement may need more: close other programs, or add swap")
    return Finding("memory", "ok", text)


def available_memory() -> int | None:
    """MemAvailable of proc_meminfo(5), or the limit of our control group where that is less; bytes."""
    try:
        found = re.search(r"^MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text(), re.M)
    except OSError:
        return None
    limits = [int(text) for path in _CGROUP_LIMITS if path.exists() and (text := path.read_text().strip()).isdigit()]
    return min([int(found[1]) * 1024, *limits]) if found else None
