"""No program takes more than its limits, and nothing of it survives the run."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryFile

import pytest
from worksite.validator.sandbox import Job, LauncherError, Limits, Outcome, Sandbox

MIB = 1 << 20
RunPython = Callable[..., Awaitable[Outcome]]
Running = Callable[[str], list[int]]
pytestmark = pytest.mark.asyncio

SPIN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass"
DAEMONIZE = """
import os, subprocess, sys
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 4)
            os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)", sys.argv[1]])
        os._exit(0)
"""


@pytest.fixture
def marker() -> str:
    return f"marker-{secrets.token_hex(8)}"


async def test_the_wall_clock_stops_spinners_that_ignore_sigterm(
    run_python: RunPython, marker: str, running: Running
) -> None:
    source = f"import os\nfor _ in range(2): os.fork()\n{SPIN}"
    outcome = await run_python(source, marker, limits=Limits(wall_seconds=0.5))
    assert (outcome.stopped, outcome.signal) == ("wall_clock", signal.SIGKILL)
    assert 0.5 <= outcome.duration_seconds < 5
    assert running(marker) == []


async def test_the_processor_time_of_a_process_is_limited(run_python: RunPython) -> None:
    outcome = await run_python("while True: pass", limits=Limits(cpu_seconds=1, wall_seconds=20))
    assert (outcome.signal, outcome.stopped) == (signal.SIGXCPU, None)


async def test_daemons_do_not_survive_the_run(run_python: RunPython, marker: str, running: Running) -> None:
    outcome = await run_python(DAEMONIZE + "import time; time.sleep(0.3)", marker)
    assert (outcome.exit_code, outcome.stopped) == (0, None)
    assert running(marker) == []


async def test_a_process_that_keeps_forking_away_is_swept(run_python: RunPython, marker: str, running: Running) -> None:
    source = """
        import os, sys, time
        if os.fork():
            time.sleep(0.2); os._exit(0)
        while True:
            if os.fork(): os._exit(0)
    """
    outcome = await run_python(source, marker)
    assert outcome.exit_code == 0
    assert running(marker) == []


async def test_a_fork_bomb_is_stopped_by_the_process_limit(sandbox: Sandbox, run_python: RunPython) -> None:
    outcome = await run_python(
        """
        import os, time
        forked = 0
        try:
            while forked < 400:
                if os.fork() == 0: time.sleep(60)
                forked += 1
        except BlockingIOError: pass
        print(forked, flush=True); time.sleep(1); os._exit(0)
        """,
        limits=Limits(processes=20),
    )
    if sandbox.isolation.shared_uid and sandbox.isolation.level == "jail":
        assert outcome.stopped == "processes"  # the kernel counts the service's processes too, so the keeper counts
    else:
        assert 5 <= int(outcome.stdout) < 25


async def test_a_thread_bomb_is_stopped_by_the_process_limit(run_python: RunPython) -> None:
    source = """
        import threading, time
        for _ in range(100): threading.Thread(target=time.sleep, args=(2,), daemon=True).start()
        time.sleep(2)
    """
    outcome = await run_python(source, limits=Limits(processes=20))
    assert outcome.stopped == "processes" or b"can't start new thread" in outcome.stderr


async def test_memory_of_one_process_is_limited(run_python: RunPython) -> None:
    outcome = await run_python("bytearray(400 << 20)", limits=Limits(memory_bytes=256 * MIB))
    assert outcome.exit_code == 1
    assert b"MemoryError" in outcome.stderr


async def test_memory_of_all_processes_together_is_limited(
    run_python: RunPython, marker: str, running: Running
) -> None:
    source = """
        import os, time
        for _ in range(4):
            if os.fork() == 0: break
        memory = bytearray(os.urandom(1 << 20) * 60); time.sleep(20)
    """
    outcome = await run_python(source, marker, limits=Limits(total_memory_bytes=150 * MIB, wall_seconds=15))
    assert outcome.stopped == "memory"
    assert running(marker) == []


async def test_memory_shared_by_processes_counts_once(run_python: RunPython) -> None:
    source = """
        import os, time
        memory = bytearray(60 << 20)
        for _ in range(4):
            if os.fork() == 0: break
        time.sleep(0.5)
    """
    assert (await run_python(source, limits=Limits(total_memory_bytes=150 * MIB))).exit_code == 0


async def test_the_size_of_one_file_is_limited(run_python: RunPython, workspace: Path) -> None:
    outcome = await run_python("open('big', 'wb').write(bytes(3 << 20))", limits=Limits(file_bytes=MIB))
    assert outcome.exit_code == 1
    assert (workspace / "big").stat().st_size <= MIB


@pytest.mark.parametrize("directory", [".", "os.environ['TMPDIR']"])
async def test_many_files_are_stopped_by_the_disk_limit(run_python: RunPython, directory: str) -> None:
    source = f"""
        import os
        os.chdir({directory!r} if {directory!r} == "." else os.environ["TMPDIR"])
        for number in range(100):
            with open(str(number), "wb") as file: file.write(os.urandom(1 << 20))
        import time; time.sleep(20)
    """
    outcome = await run_python(source, limits=Limits(disk_bytes=8 * MIB, wall_seconds=15))
    assert outcome.stopped == "disk"


async def test_empty_files_have_a_price(run_python: RunPython) -> None:
    source = """
        import os, time
        for number in range(20_000): os.close(os.open(str(number), os.O_CREAT))
        time.sleep(20)
    """
    outcome = await run_python(source, limits=Limits(disk_bytes=16 * MIB, wall_seconds=15))
    assert outcome.stopped == "disk"


async def test_unlinked_files_do_not_hide_from_the_disk_limit(run_python: RunPython) -> None:
    source = """
        import os, time
        files = []
        for number in range(80):
            files.append(open("hidden", "wb", buffering=0))
            os.unlink("hidden")
            files[-1].write(os.urandom(1 << 20))
        time.sleep(20)
    """
    outcome = await run_python(source, limits=Limits(disk_bytes=8 * MIB, wall_seconds=15))
    assert outcome.stopped == "disk"


async def test_who_fills_the_disk_beside_a_run_is_not_taken_for_it(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    """Seen when somebody copied gigabytes during a validation, which then spoke against the change."""
    async with sandbox.open(job("input()", limits=Limits(disk_bytes=MIB, wall_seconds=15))) as session:
        with TemporaryFile(dir=sandbox.root) as others:
            os.posix_fallocate(others.fileno(), 0, 256 * MIB)
            with pytest.raises(LauncherError, match="others filled it"):
                await session.readline(limit=100, timeout=15)
            with pytest.raises(LauncherError):
                await session.wait()


@pytest.mark.parametrize("stream", [1, 2])
async def test_endless_output_is_stopped_and_cut(run_python: RunPython, stream: int) -> None:
    outcome = await run_python(
        f"import os\nwhile True: os.write({stream}, b'x' * 65536)", limits=Limits(output_bytes=100_000, wall_seconds=15)
    )
    assert outcome.stopped == "output"
    assert len(outcome.stdout + outcome.stderr) == 100_000


async def test_an_oversized_result_is_stopped_and_cut(run_python: RunPython) -> None:
    outcome = await run_python("import os; os.write(3, b'x' * 5000)", limits=Limits(result_bytes=1000))
    assert (outcome.stopped, len(outcome.result)) == ("output", 1000)


async def test_cancelling_a_run_leaves_nothing(
    sandbox: Sandbox, job: Callable[..., Job], marker: str, running: Running
) -> None:
    task = asyncio.create_task(sandbox.run(job(DAEMONIZE + SPIN, marker)))
    while len(running(marker)) < 4:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running(marker) == []
    assert [path for path in sandbox.root.iterdir() if path.name.startswith("scratch-")] == []


async def test_concurrent_runs_and_children_of_the_service_do_not_touch_each_other(
    sandbox: Sandbox, job: Callable[..., Job]
) -> None:
    bystander = await asyncio.create_subprocess_exec("/bin/sleep", "60")
    slow = job("import subprocess, sys; subprocess.run(['sleep', '1']); print('slow')")
    short = job("import os\nif os.fork() == 0:\n  while True: pass")
    started = time.monotonic()
    outcomes = await asyncio.gather(sandbox.run(slow), *(sandbox.run(short) for _ in range(4)))
    assert [outcome.exit_code for outcome in outcomes] == [0] * 5
    assert outcomes[0].stdout == b"slow\n"
    assert time.monotonic() - started < 10
    assert bystander.returncode is None
    bystander.kill()
    await bystander.wait()


SERVICE = """
import asyncio, sys
from pathlib import Path
from tempfile import TemporaryFile
from worksite.validator.sandbox import Job, SandboxSettings, open_sandbox

async def main():
    root = Path(sys.argv[1])
    sandbox = await open_sandbox(SandboxSettings(root, mode=sys.argv[2], root=root))
    async with sandbox.new_workspace() as workspace:
        await sandbox.run(Job((str(sandbox.python), "-c", sys.argv[3], sys.argv[4]), workspace))
asyncio.run(main())
"""


async def test_a_run_ends_with_the_service_that_started_it(sandbox: Sandbox, marker: str, running: Running) -> None:
    arguments = [str(sandbox.root), sandbox.isolation.level, DAEMONIZE + SPIN, marker]
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, *arguments, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    async with asyncio.timeout(20):
        while len(running(marker)) < 5:  # the service, the launched program and its three daemons
            await asyncio.sleep(0.02)
        service.kill()
        await service.wait()
        while running(marker):
            await asyncio.sleep(0.02)


async def test_a_killed_keeper_is_not_a_verdict(
    sandbox: Sandbox, job: Callable[..., Job], marker: str, running: Running
) -> None:
    async with asyncio.timeout(10):
        async with sandbox.open(job(SPIN, marker)) as session:
            for keeper in children("sandbox/keeper"):
                os.kill(keeper, signal.SIGKILL)
            with pytest.raises(LauncherError, match="keeper"):
                await session.wait()
        while running(marker):
            await asyncio.sleep(0.01)


async def test_a_keeper_killed_at_its_start_is_not_a_verdict(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    async def kill_keeper() -> None:
        while not (keepers := children("sandbox/keeper")):
            await asyncio.sleep(0)
        os.kill(keepers[0], signal.SIGKILL)

    with pytest.raises(LauncherError, match="keeper"):
        await asyncio.gather(sandbox.run(job("import time; time.sleep(5)")), kill_keeper())


def children(marker: str) -> list[int]:
    """Children of this process that have `marker` in their command line."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and marker.encode() in (process / "cmdline").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue  # ended meanwhile
    return found


async def test_a_crash_leaves_no_core_dump(run_python: RunPython) -> None:
    source = """
        import os, resource, signal
        assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
        if os.fork() == 0: os.kill(os.getpid(), signal.SIGSEGV)
        print(os.WTERMSIG(os.wait()[1]), os.listdir("."))
    """
    assert (await run_python(source)).stdout == b"11 []\n"
