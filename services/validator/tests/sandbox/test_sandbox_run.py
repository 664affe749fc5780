"""What a well-behaved program can do, and what comes back."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from worksite.validator.sandbox import Job, LauncherError, Limits, Outcome, Sandbox

RunPython = Callable[..., Awaitable[Outcome]]
pytestmark = pytest.mark.asyncio


async def test_a_run_returns_exit_code_output_and_result(run_python: RunPython) -> None:
    outcome = await run_python(
        """
        import os, sys
        print("out"); print("err", file=sys.stderr)
        os.write(int(os.environ["WORKSITE_RESULT_FD"]), sys.stdin.buffer.read())
        sys.exit(7)
        """,
        stdin=b"from stdin",
    )
    assert (outcome.exit_code, outcome.signal, outcome.stopped) == (7, None, None)
    assert (outcome.stdout, outcome.stderr, outcome.result) == (b"out\n", b"err\n", b"from stdin")
    assert 0 < outcome.duration_seconds < 10


async def test_a_signal_is_told_from_an_exit_code(run_python: RunPython) -> None:
    outcome = await run_python("import os, signal; os.kill(os.getpid(), signal.SIGABRT)")
    assert (outcome.exit_code, outcome.signal) == (None, 6)


async def test_input_that_the_program_ignores_does_no_harm(run_python: RunPython) -> None:
    assert (await run_python("pass", stdin=b"x" * 1_000_000)).exit_code == 0


async def test_the_program_is_not_root_and_cannot_become_it(run_python: RunPython, sandbox: Sandbox) -> None:
    outcome = await run_python(
        """
        import ctypes, os, json
        libc = ctypes.CDLL(None)
        ids = [*os.getresuid(), *os.getresgid(), *os.getgroups()]
        print(json.dumps({"ids": ids, "no_new_privs": libc.prctl(39, 0, 0, 0, 0), "setuid": libc.setuid(0)}))
        """
    )
    seen = json.loads(outcome.stdout)
    assert 0 not in seen["ids"]
    assert seen["no_new_privs"] == 1
    assert seen["setuid"] == -1
    assert sandbox.isolation.uid != 0


async def test_the_environment_holds_only_what_the_job_names(
    run_python: RunPython, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_SECRET", "do not leak")
    outcome = await run_python("import os, json; print(json.dumps(dict(os.environ)))", env={"CANDIDATE": "1"})
    seen = json.loads(outcome.stdout)
    standard = {"PATH", "HOME", "TMPDIR", "LANG", "USER", "LOGNAME", "WORKSITE_RESULT_FD"}
    assert set(seen) - {"LC_CTYPE", "PWD"} == standard | {"CANDIDATE"}


async def test_no_descriptor_of_the_service_leaks(run_python: RunPython, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        outcome = await run_python(
            """
            import os
            def is_open(fd):
                try: os.fstat(fd)
                except OSError: return False
                return True
            print([fd for fd in range(256) if is_open(fd)])
            """
        )
    finally:
        os.close(descriptor)
    assert json.loads(outcome.stdout) == [0, 1, 2, 3]


async def test_the_workspace_is_the_working_directory_and_writable(run_python: RunPython, workspace: Path) -> None:
    (workspace / "given").write_text("given")
    outcome = await run_python(
        "import pathlib; pathlib.Path('made').write_text(pathlib.Path('given').read_text()); print(pathlib.Path.cwd())"
    )
    assert outcome.stdout.decode().strip() == str(workspace)
    assert (workspace / "made").read_text() == "given"


async def test_a_setuid_file_never_belongs_to_root(run_python: RunPython, workspace: Path, sandbox: Sandbox) -> None:
    outcome = await run_python("import os; open('tool', 'w').close(); os.chmod('tool', 0o4755)")
    assert outcome.exit_code == 0, outcome.stderr
    made = (workspace / "tool").stat()
    assert made.st_mode & stat.S_ISUID
    assert made.st_uid >= sandbox.isolation.uid > 0


async def test_readable_trees_can_be_read_but_not_written(
    sandbox: Sandbox, job: Callable[..., Job], sandbox_root: Path
) -> None:
    environment = sandbox_root / "environment"
    environment.mkdir(exist_ok=True)
    environment.chmod(0o777)
    (environment / "module.py").write_text("NAME = 'readable'")
    (environment / "module.py").chmod(0o666)
    source = """
        import errno, sys
        sys.path.append(sys.argv[1])
        import module
        try: open(sys.argv[1] + "/module.py", "a")
        except OSError as error: print(module.NAME, errno.errorcode[error.errno] in ("EACCES", "EROFS"))
    """
    outcome = await sandbox.run(job(source, str(environment), readable=(environment,)))
    assert outcome.stdout == b"readable True\n"
    unreadable = await sandbox.run(job("import os, sys; os.listdir(sys.argv[1])", str(environment)))
    assert unreadable.exit_code == 1


async def test_what_ordinary_test_suites_need_works(run_python: RunPython) -> None:
    outcome = await run_python(
        """
        import asyncio, concurrent.futures, hashlib, os, shutil, sqlite3, subprocess, sys, tempfile, threading
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert list(pool.map(abs, [-1, -2])) == [1, 2]
        async def main():
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(1)", stdout=-1)
            return (await process.communicate())[0]
        assert asyncio.run(main()) == b"1\\n"
        assert subprocess.run(["sh", "-c", "echo $((1+1))"], capture_output=True).stdout == b"2\\n"
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "data.db")
            with sqlite3.connect(path) as database:
                database.execute("pragma journal_mode=wal"); database.execute("create table t (x)")
            shutil.copy2(path, path + "2"); os.chmod(path, 0o600); os.utime(path, (1, 2))
            shutil.copytree(directory, directory + "/again", ignore=shutil.ignore_patterns("again"))
            assert (os.stat(path).st_mode & 0o777, os.stat(path).st_mtime) == (0o600, 2)
        if os.fork() == 0: os._exit(3)
        assert os.waitstatus_to_exitcode(os.wait()[1]) == 3
        print("all")
        """
    )
    assert (outcome.stdout, outcome.stderr) == (b"all\n", b"")


async def test_an_interpreter_started_with_an_empty_environment_is_the_same(run_python: RunPython) -> None:
    outcome = await run_python(
        "import subprocess, sys; subprocess.run([sys.executable, '-I', '-c', 'import sys; print(sys.version)'], env={})"
    )
    assert outcome.stdout.decode().strip() == sys.version


async def test_a_missing_program_is_a_launcher_error(sandbox: Sandbox, workspace: Path) -> None:
    with pytest.raises(LauncherError, match="No such file") as caught:
        await sandbox.run(Job(("/nowhere/python",), workspace))
    assert caught.value.step == "exec"


def counted(metric: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"worksite_sandbox_{metric}", labels) or 0.0


async def test_runs_are_counted_by_their_end_and_what_could_not_be_run_by_what_failed(
    run_python: RunPython, sandbox: Sandbox, workspace: Path
) -> None:
    before = [counted("runs_total", stopped=why) for why in ("itself", "wall_clock")]
    failed = [counted("failures_total", step=step) for step in ("exec", "keeper")]

    await run_python("pass")
    await run_python("import time; time.sleep(60)", limits=Limits(wall_seconds=0.2))
    with pytest.raises(LauncherError):
        await sandbox.run(Job(("/nowhere/python",), workspace))

    assert [counted("runs_total", stopped=why) for why in ("itself", "wall_clock")] == [n + 1 for n in before]
    assert [counted("failures_total", step=step) for step in ("exec", "keeper")] == [failed[0] + 1, failed[1]]


async def test_a_missing_readable_tree_is_a_launcher_error(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    with pytest.raises(LauncherError, match="nowhere"):
        await sandbox.run(job("pass", readable=(Path("/nowhere/environment"),)))


@pytest.mark.parametrize("status", [1, 125, 126, 127])
async def test_no_exit_status_of_a_candidate_looks_like_a_launcher_error(run_python: RunPython, status: int) -> None:
    outcome = await run_python(f"import sys; print('exec: forged', file=sys.stderr); sys.exit({status})")
    assert outcome.exit_code == status


async def test_a_workspace_that_is_named_as_readable_too_stays_writable(
    sandbox: Sandbox, job: Callable[..., Job], workspace: Path
) -> None:
    """Else a project's tests can write to their project at one level, and not at the other."""
    outcome = await sandbox.run(job("open('file', 'w').close(); print('written')", readable=(workspace,)))
    assert outcome.stdout == b"written\n"


@pytest.mark.skipif(not Path("/etc/alternatives/awk").exists(), reason="only Debian's relatives have alternatives")
async def test_a_program_behind_the_links_of_debian_is_found(sandbox: Sandbox, workspace: Path) -> None:
    outcome = await sandbox.run(Job(("awk", "BEGIN { print 1 + 1 }"), workspace))
    assert outcome.stdout == b"2\n"
