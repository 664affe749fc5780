"""Open the sandbox: find the strongest isolation that this machine really gives, and prove it."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys

from worksite.validator.sandbox.errors import LauncherError, SandboxUnavailable
from worksite.validator.sandbox.probe import ProbeFailed, probe
from worksite.validator.sandbox.runtime import install_launcher, sandbox_python, sandbox_root
from worksite.validator.sandbox.sandbox import Equipment, Isolation, Level, Sandbox
from worksite.validator.sandbox.seccomp import UnsupportedMachine, filter_program
from worksite.validator.sandbox.settings import SandboxSettings
from worksite.validator.sandbox.trees import remove_leftovers

_ADVICE = (
    "The floor is Linux 6.2 or newer on x86_64 or aarch64 with Landlock among its security modules (`lsm=` on the "
    "kernel command line) and seccomp; a service that is root needs CAP_SETUID, CAP_SETGID, CAP_CHOWN and CAP_KILL, "
    "or should not be root. Run the validator in its container on such a kernel; SANDBOX=none runs candidates without "
    "confinement, for experiments by hand only."
)


async def open_sandbox(settings: SandboxSettings) -> Sandbox:
    """Probe this machine with a program that tries to break out, and return the strongest sandbox that held.

    Raises `SandboxUnavailable` when the floor (Landlock, seccomp, a user that is not root) is missing.
    """
    if sys.platform != "linux":
        raise SandboxUnavailable(f"the sandbox needs Linux and this is {sys.platform}. {_ADVICE}")
    uid = os.getuid() or settings.uid
    if uid == 0:
        raise SandboxUnavailable("the sandbox never runs a candidate as root: set a sandbox uid other than 0")
    if settings.mode != "none":
        _check_machine()
    try:
        root = sandbox_root(settings.root, settings.state_dir, uid)
        await asyncio.to_thread(remove_leftovers, root)
        python, prefix = await asyncio.to_thread(sandbox_python, root, uid)
        launcher = install_launcher(root)
    except OSError as error:
        raise SandboxUnavailable(f"the sandbox cannot prepare its directory: {error}") from error
    bwrap = shutil.which("bwrap")
    if settings.mode == "namespaces" and bwrap is None:
        raise SandboxUnavailable("there is no bwrap on PATH: install bubblewrap, or set SANDBOX=auto")
    problems: list[str] = []
    for level in _levels(settings, bwrap):
        equipment = Equipment(root, python, prefix, launcher, bwrap if level == "namespaces" else None)
        sandbox = Sandbox(Isolation(level=level, uid=uid, shared_uid=uid == os.getuid()), equipment)
        problem = await _problem(sandbox)
        if problem is None:
            return sandbox
        problems.append(f"{level}: {problem}")
    raise SandboxUnavailable(f"no isolation works on this machine ({'; '.join(problems)}). {_ADVICE}")


def _check_machine() -> None:
    try:
        filter_program(platform.machine(), notify_attributes=False)
    except UnsupportedMachine as error:
        raise SandboxUnavailable(f"{error}. {_ADVICE}") from error


def _levels(settings: SandboxSettings, bwrap: str | None) -> tuple[Level, ...]:
    if settings.mode != "auto":
        return (settings.mode,)
    return ("namespaces", "jail") if bwrap else ("jail",)


async def _problem(sandbox: Sandbox) -> str | None:
    """What is wrong with this level, if anything."""
    try:
        escapes = await probe(sandbox)
    except (LauncherError, ProbeFailed) as error:
        return str(error)
    if escapes and sandbox.isolation.level != "none":
        return f"a program in the sandbox could {', '.join(escapes)}"
    return None
