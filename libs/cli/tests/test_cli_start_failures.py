"""What keeps a stack from starting is said in one line that names the thing and the remedy."""

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner
from worksite.cli.main import app
from worksite.cli.stack import disk, layout
from worksite.cli.stack.embedded import Ports, _locked, running_stack
from worksite.cli.stack.errors import NotReady, StateInUse, StateUnusable, explanation
from worksite.cli.stack.lines import as_it_is
from worksite.cli.stack.log import StackLog
from worksite.cli.stack.ports import chosen_port, holder, kept_port
from worksite.cli.stack.state import State, write_private
from worksite.cli.stack.supervisor import Program, Supervisor


def quiet(name, line):
    pass


async def start(state, root, ports=None):
    async with running_stack(state, root, ports or Ports(0, 0), quiet):
        pass


def test_a_taken_port_is_named_with_its_holder_and_the_setting():
    with socket.create_server(("127.0.0.1", 0)) as taken, contextlib.ExitStack() as kept:
        port = taken.getsockname()[1]
        with pytest.raises(NotReady, match=rf"port {port} is taken by .*process {os.getpid()}.*DASHBOARD_PORT"):
            chosen_port("DASHBOARD_PORT", port, kept)
        assert str(os.getpid()) in holder(port)
        taken.close()
        assert chosen_port("DASHBOARD_PORT", port, kept) == port


def test_a_port_of_ours_goes_to_no_connection_before_its_program_listens_and_after_it_was_killed():
    with contextlib.ExitStack() as kept:
        port = kept_port(kept)
        for _ in range(2):
            with socket.socket() as outgoing, pytest.raises(OSError, match="in use"):
                outgoing.bind(("127.0.0.1", port))
            with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)):
                pass


def test_nobody_holds_a_port_that_is_free():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert holder(port) is None


@pytest.mark.asyncio
async def test_the_gateway_and_admin_cannot_have_the_same_port(tmp_path):
    with contextlib.ExitStack() as kept:
        port = chosen_port("DASHBOARD_PORT", 0, kept)
    with pytest.raises(NotReady, match="DASHBOARD_PORT and ADMIN_PORT are both"):
        await start(State(tmp_path / "s"), tmp_path, Ports(port, port))


@pytest.mark.asyncio
async def test_without_git_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NotReady, match=r"git is not installed.*apt install git"):
        await start(State(tmp_path / "s"), tmp_path)
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(("content", "said"), [("2", "a newer"), ("0", "an older"), ("x\0", "damaged")])
def test_a_state_of_another_format_is_refused_with_what_to_do(tmp_path, content, said):
    state = State(tmp_path / "s")
    state.prepare()
    (state.root / layout.FORMAT_FILE).write_text(content)
    with pytest.raises(StateUnusable, match=f"{said}.*start anew beside it"):
        state.lock()


def test_a_state_from_before_formats_were_numbered_is_taken_and_numbered(tmp_path):
    state = State(tmp_path)
    (tmp_path / "nats").mkdir()
    os.close(state.lock())
    state.prepare()
    assert (tmp_path / layout.FORMAT_FILE).read_text() == "1\n"


def test_a_directory_with_other_things_in_it_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(StateUnusable, match="not made by Worksite"):
        State(tmp_path).lock()
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_state_is_named(tmp_path):
    (tmp_path / "s").write_text("")
    with pytest.raises(StateUnusable, match="no directory"):
        State(tmp_path / "s").lock()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_state_that_may_not_be_written_is_named(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(StateUnusable, match="no permission"):
        State(tmp_path / "s").lock()


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space left on the disk"),
        (errno.EROFS, "read-only file system"),
        (errno.EACCES, "no permission for /s/lock"),
        (errno.ENOTDIR, "no directory"),
    ],
)
def test_what_the_operating_system_refuses_is_put_in_words(tmp_path, number, said):
    text = explanation(OSError(number, os.strerror(number), "/s/lock"), tmp_path)
    assert said in text
    assert "WORKSITE_STATE" in text
    assert "Errno" not in text


def test_too_small_a_disk_is_refused_before_anything_is_written(tmp_path):
    disk.check(tmp_path, disk.NEEDED_BYTES)
    with pytest.raises(StateUnusable, match="only 12 MiB are free"):
        disk.check(tmp_path, 12 << 20)


def test_a_damaged_limit_of_the_bus_is_named(tmp_path):
    state = State(tmp_path)
    state.prepare()
    (state.nats / "disk_bytes").write_text("")
    with pytest.raises(StateUnusable, match="disk_bytes holds no number: remove it"):
        state.disk_bytes()


def test_a_write_that_fails_half_way_leaves_what_was_there(tmp_path):
    write_private(tmp_path / "secret", "old")
    with pytest.raises(UnicodeEncodeError):
        write_private(tmp_path / "secret", "new \udc80")
    assert (tmp_path / "secret").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]


def test_who_runs_on_a_state_is_told_to_the_second(tmp_path):
    state = State(tmp_path)
    held = state.lock()
    with pytest.raises(StateInUse, match="about to start or to stop"):
        state.lock()
    write_private(state.description, json.dumps({"pid": os.getpid(), "gateway_url": "http://127.0.0.1:1"}))
    with pytest.raises(StateInUse, match=rf"http://127.0.0.1:1, process {os.getpid()}"):
        state.lock()
    os.close(held)


@pytest.mark.asyncio
async def test_a_state_is_not_free_before_the_last_program_of_a_killed_stack_has_ended(tmp_path):
    state, up = State(tmp_path), asyncio.Event()
    held = state.lock()
    supervisor = Supervisor(lambda name, line: up.set(), inherited=(held,))
    supervisor.start(Program("p", [sys.executable, "-c", "print('up', flush=True); input()"], os.environ))
    supervisor.start(Program("q", [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)"], {}))
    await asyncio.wait_for(up.wait(), 15)
    os.close(held)  # as if we had been killed
    with pytest.raises(StateInUse):
        state.lock()
    for name in ("p", "q"):
        await supervisor.stop(name)
    os.close(state.lock())


@pytest.mark.asyncio
async def test_a_start_waits_for_whoever_holds_the_lock_but_is_no_running_stack(tmp_path):
    """A stack that stops, or a command that looks whether one runs."""
    state = State(tmp_path)
    held = state.lock()
    starting = asyncio.create_task(_locked(state))
    await asyncio.sleep(0)
    assert not starting.done()
    os.close(held)
    os.close(await asyncio.wait_for(starting, 15))


def test_what_is_left_of_a_killed_stack_is_no_running_stack(tmp_path):
    state = State(tmp_path)
    held = state.lock()
    gone = 2**22 + 1  # above the largest process number that Linux gives
    write_private(state.description, json.dumps({"pid": gone, "gateway_url": "http://127.0.0.1:1"}))
    assert (state.orphaned(), state.in_use()) == (True, False)
    os.close(held)


@pytest.mark.asyncio
async def test_how_a_program_ended_is_told_where_the_stack_waits_for_it():
    supervisor = Supervisor(quiet)
    fault = f"import os; os.kill(os.getpid(), {int(signal.SIGILL)})"
    supervisor.start(Program("rag", [sys.executable, "-c", fault], os.environ))
    async with asyncio.timeout(30):
        while not supervisor.account(["rag"]).startswith("rag (killed by signal 4"):
            await asyncio.sleep(0.02)
    assert "Illegal instruction" in supervisor.account(["rag"])
    await supervisor.stop("rag")


@pytest.mark.asyncio
async def test_a_program_that_hangs_at_its_end_is_restarted_all_the_same():
    """nats-server 2.15 did, told to end after its disk had been full: for 86 s, until somebody killed it."""
    hangs = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    started: list[str] = []
    supervisor = Supervisor(lambda name, line: started.append(line))
    supervisor.start(Program("nats", [sys.executable, "-c", hangs], os.environ, grace_seconds=0.1))
    async with asyncio.timeout(30):
        while started.count("up") < 1:
            await asyncio.sleep(0.01)
        await supervisor.restart("nats")
        while started.count("up") < 2:
            await asyncio.sleep(0.01)
    await supervisor.stop("nats")


@pytest.mark.asyncio
async def test_the_bus_is_restarted_once_a_full_disk_has_room_and_not_before():
    lines, restarted, free = [], asyncio.Event(), [0]

    async def restart() -> None:
        restarted.set()

    full = disk.FullDisk(lambda name, line: lines.append(line), lambda: free[0], restart)
    async with full.watched(every_seconds=0.01), asyncio.timeout(10):
        full.saw("nats", "[ERR] write 1.blk: no space left on device")
        while len(lines) < 2:
            await asyncio.sleep(0.01)
        assert "the disk is full" in lines[1]
        assert not restarted.is_set()
        free[0] = 1 << 30
        await restarted.wait()


def test_a_log_that_cannot_be_written_is_told_of_once(tmp_path, capsys):
    with StackLog(tmp_path) as log:  # a directory is in its place
        log.write("nats", "one")
        log.write("nats", "two")
    assert capsys.readouterr().err.count("is not written") == 1


def test_a_reader_that_goes_away_does_not_stop_the_log(tmp_path, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with StackLog(tmp_path / "log", echo=as_it_is) as log:
        with os.fdopen(writer, "w", buffering=1) as broken, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", broken)
            log.write("rag", "one")
            with Path(os.devnull).open("w") as nowhere:
                os.dup2(nowhere.fileno(), writer)  # so that closing it does not fail as well
        log.write("rag", "two")
    assert (tmp_path / "log").read_text().splitlines() == ["rag       | one", "rag       | two"]


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
async def test_a_command_that_is_asked_to_end_tidies_up(name):
    tidy = "print('working', flush=True)\n  await asyncio.sleep(60)\n finally: print('tidied')"
    work = f"async def work():\n try:\n  {tidy}\n"
    script = f"import asyncio\nfrom worksite.cli.invocation import finished\n{work}finished(work())"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        assert await process.stdout.readline() == b"working\n"
        process.send_signal(getattr(signal, name))
        said, _ = await process.communicate()
    assert said == b"tidied\n"


def test_a_failed_start_points_to_the_doctor(tmp_path):
    for folder in ("blueprints", "policies"):
        (tmp_path / folder).mkdir()
    (tmp_path / "s").write_text("")
    result = CliRunner().invoke(app, ["up", "--state", str(tmp_path / "s"), "--root", str(tmp_path)])
    assert result.exit_code == 1
    assert "worksite doctor" in result.stderr
    assert "Traceback" not in result.output
