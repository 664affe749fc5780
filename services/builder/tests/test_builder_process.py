"""Child processes: bounded in time and output, gone when they are done with."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
from worksite.builder import process
from worksite.builder.process import Finished

pytestmark = pytest.mark.asyncio


async def _python(folder: Path, code: str, stdin: bytes = b"", timeout_seconds: float = 30) -> Finished:
    command = [sys.executable, "-S", "-c", code]
    return await process.run(command, env={}, cwd=folder, timeout_seconds=timeout_seconds, stdin=stdin)


async def test_output_errors_and_status_come_back(tmp_path: Path) -> None:
    code = "import sys; print(sys.stdin.read()); print('no', file=sys.stderr); sys.exit(3)"

    assert await _python(tmp_path, code, stdin=b"yes") == Finished(3, b"yes\n", "no\n")


async def test_a_process_sees_only_the_environment_that_it_is_given(tmp_path: Path) -> None:
    finished = await _python(tmp_path, "import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))")

    assert finished.output == b"[]\n"


async def test_a_process_that_writes_for_ever_is_stopped_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(process.OutputTooLarge):
        await _python(tmp_path, "while True: print('y' * 100_000)")


async def test_a_process_that_is_stopped_while_it_writes_is_collected(tmp_path: Path) -> None:
    """Its pipe is full then, and asyncio waits for the pipe before it admits that the process is gone."""
    with pytest.raises(TimeoutError, match="longer than"):
        await asyncio.wait_for(
            _python(tmp_path, "import sys\nwhile True: sys.stderr.write('y' * 100_000)", timeout_seconds=0.5), 20
        )


async def test_only_the_end_of_endless_complaints_is_kept(tmp_path: Path) -> None:
    finished = await _python(tmp_path, "import sys; sys.stderr.write('x' * 1_000_000 + 'reason')")

    assert finished.errors.endswith("xreason")
    assert len(finished.errors) < 100_000


async def test_a_helper_that_outlives_its_parent_is_killed_too(tmp_path: Path) -> None:
    """It holds no pipe of ours, so nothing but its group leads to it."""
    command = ["/bin/sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!"]

    finished = await process.run(command, env={"PATH": os.defpath}, cwd=tmp_path, timeout_seconds=30)

    async with asyncio.timeout(30):  # a killed process takes a moment to go
        while _runs(int(finished.output)):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    """A process that was killed may remain as a zombie until somebody collects it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


async def test_a_cancelled_process_is_killed(tmp_path: Path) -> None:
    code = "import os, time; open('pid', 'w').write(str(os.getpid())); print(flush=True); time.sleep(60)"
    running = asyncio.create_task(_python(tmp_path, code))
    async with asyncio.timeout(20):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.01)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running

    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
