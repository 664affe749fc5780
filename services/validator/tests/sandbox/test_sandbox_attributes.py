"""Modes and times change as the kernel would change them, though the keeper does it in the jail."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from worksite.validator.sandbox import Outcome

RunPython = Callable[..., Awaitable[Outcome]]
pytestmark = pytest.mark.asyncio


PRELUDE = """
import ctypes, errno, json, os, threading, time
os.mkdir("d"); open("d/f", "w").close(); os.symlink("d/f", "l"); d = os.open("d", os.O_RDONLY)
def error_of(function):
    try: function()
    except OSError as error: return errno.errorcode[error.errno]
"""


async def observe(run_python: RunPython, change: str, expression: str) -> object:
    """The value of `expression` after `change`, both evaluated in the sandbox."""
    outcome = await run_python(f"{PRELUDE}\n{change}\nprint(json.dumps({expression}))")
    assert outcome.exit_code == 0, outcome.stderr
    return json.loads(outcome.stdout)


@pytest.mark.parametrize(
    "change",
    [
        "os.chmod('d/f', 0o640)",
        "os.chmod(os.path.abspath('d/f'), 0o640)",
        "os.chmod('l', 0o640)",
        "os.chmod('f', 0o640, dir_fd=d)",
        "os.fchmod(os.open('d/f', os.O_RDONLY), 0o640)",
        "os.chdir('d'); os.chmod('../d/f', 0o640); os.chdir('..')",
        "t = threading.Thread(target=os.chmod, args=('d/f', 0o640)); t.start(); t.join()",
    ],
)
async def test_a_mode_changes(run_python: RunPython, change: str) -> None:
    assert await observe(run_python, change, "os.stat('d/f').st_mode & 0o7777") == 0o640


async def test_times_change(run_python: RunPython) -> None:
    change = "os.utime('d/f', ns=(1, 1700000000123456789)); s = os.stat('d/f')"
    assert await observe(run_python, change, "[s.st_atime_ns, s.st_mtime_ns]") == [1, 1700000000123456789]


async def test_times_become_now(run_python: RunPython) -> None:
    change = "os.utime('d/f', (0, 0)); os.utime('d/f')"
    assert await observe(run_python, change, "abs(time.time() - os.stat('d/f').st_mtime) < 60") is True


async def test_times_of_a_link_itself_change(run_python: RunPython) -> None:
    change = "os.utime('d/f', (5, 5)); os.utime('l', (7, 7), follow_symlinks=False)"
    assert await observe(run_python, change, "[os.stat('l').st_mtime, os.lstat('l').st_mtime]") == [5, 7]


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ("os.chmod('missing', 0o600)", ["ENOENT"]),
        ("os.chmod('', 0o600)", ["ENOENT"]),
        ("os.chmod('d/f/below', 0o600)", ["ENOTDIR"]),
        ("os.chmod('x' * 5000, 0o600)", ["ENAMETOOLONG"]),
        ("os.fchmod(99, 0o600)", ["EBADF", "ENOENT"]),
        ("os.chmod('/usr', 0o777)", ["EPERM", "EROFS"]),
    ],
)
async def test_a_change_that_cannot_be_is_refused(run_python: RunPython, attempt: str, expected: list[str]) -> None:
    assert await observe(run_python, "", f"error_of(lambda: {attempt})") in expected


async def test_a_bad_address_does_not_disturb_the_run(run_python: RunPython) -> None:
    change = "libc = ctypes.CDLL(None, use_errno=True); libc.chmod(ctypes.c_void_p(1), 0o600)"
    assert await observe(run_python, change, "errno.errorcode[ctypes.get_errno()]") == "EFAULT"
