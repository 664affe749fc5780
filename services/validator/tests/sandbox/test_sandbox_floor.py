"""Below the floor the sandbox refuses to open, for whatever layer a kernel lacks, and says what is missing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

LANDLOCK_CREATE_RULESET, PRCTL = 444, {"x86_64": 157, "aarch64": 167}
SECCOMP = {"x86_64": 317, "aarch64": 277}
MACHINE = os.uname().machine

# A kernel without a system call, for this process and its children: a filter that answers ENOSYS.
WITHOUT = """
import asyncio, ctypes, struct, sys
from pathlib import Path
from worksite.validator.sandbox import SandboxSettings, SandboxUnavailable, open_sandbox

number, error = int(sys.argv[1]), int(sys.argv[2])
program = b"".join(struct.pack("HBBI", *each) for each in (
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | error), (0x06, 0, 0, 0x7FFF0000),
))
code = ctypes.create_string_buffer(program)
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code)), 0, 0) == 0
root = Path(sys.argv[3])
try:
    found = asyncio.run(open_sandbox(SandboxSettings(root, root=root, mode=sys.argv[4])))
    print("opened", found.isolation.level)
except SandboxUnavailable as refusal:
    print("refused:", refusal)
"""


def on_a_kernel_without(number: int, root: Path, mode: str, error: int = errno.ENOSYS) -> str:
    command = [sys.executable, "-c", WITHOUT, str(number), str(error), str(root), mode]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("mode", ["auto", "jail", "namespaces"])
def test_a_kernel_without_landlock_is_refused(sandbox_root: Path, mode: str) -> None:
    said = on_a_kernel_without(LANDLOCK_CREATE_RULESET, sandbox_root, mode)

    assert said.startswith("refused: no isolation works on this machine (")
    assert "landlock_create_ruleset: Function not implemented" in said
    assert "The floor is Linux 6.2 or newer" in said
    assert "SANDBOX=none" in said


@pytest.mark.parametrize("mode", ["auto", "jail", "namespaces"])
def test_a_kernel_without_seccomp_filters_is_refused(sandbox_root: Path, mode: str) -> None:
    said = on_a_kernel_without(SECCOMP[MACHINE], sandbox_root, mode)

    assert said.startswith("refused: no isolation works on this machine (")
    assert "seccomp" in said.partition("The floor")[0]


def test_where_nothing_is_missing_the_same_program_opens_it(sandbox_root: Path) -> None:
    """The control: number 999 is no system call that anything here makes."""
    assert on_a_kernel_without(999, sandbox_root, "jail") == "opened jail"
