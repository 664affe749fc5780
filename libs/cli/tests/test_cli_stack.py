"""State, secrets, supervision: the parts of the embedded profile that need no services."""

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path

import pytest
from worksite.cli.client.access import Access, NoAccess
from worksite.cli.stack.embedded import NotReady, Ports, running_stack, service_environment
from worksite.cli.stack.lines import as_it_is, readable
from worksite.cli.stack.log import StackLog
from worksite.cli.stack.state import State, StateInUse
from worksite.cli.stack.supervisor import CannotStart, Program, Supervisor
from worksite.common.subjects import SERVICES


def test_secrets_are_made_once_and_only_their_owner_may_read_them(tmp_path):
    state = State(tmp_path / "s")
    state.prepare()
    first = {user: state.secret(user, "nats_password") for user in SERVICES}
    state.prepare()
    assert {user: state.secret(user, "nats_password") for user in SERVICES} == first
    assert len(set(first.values())) == len(SERVICES)
    for path in (tmp_path / "s" / "secrets").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_issuer_knows_only_the_hash_of_the_clients_secret(tmp_path):
    state = State(tmp_path)
    state.prepare()
    secret = state.secret("cli", "client_secret")
    assert secret not in state.secret("gateway", "issuer_clients")
    assert json.loads(state.secret("gateway", "issuer_key"))["kty"] == "OKP"


def test_two_stacks_cannot_share_a_state_directory(tmp_path):
    held = State(tmp_path).lock()
    with pytest.raises(StateInUse, match="already running"):
        State(tmp_path).lock()
    os.close(held)
    os.close(State(tmp_path).lock())


class Log:
    def __init__(self):
        self.lines = []
        self.changed = asyncio.Event()

    def __call__(self, name, line):
        self.lines.append((name, line))
        self.changed.set()

    async def until(self, text, times=1):
        async with asyncio.timeout(15):
            while sum(text in line for _, line in self.lines) < times:
                self.changed.clear()
                await self.changed.wait()


def program(code, **options):
    return Program("p", [sys.executable, "-u", "-c", code], os.environ, **options)


@pytest.mark.asyncio
async def test_a_killed_program_is_started_again():
    log = Log()
    supervisor = Supervisor(log)
    supervised = program("import time; print('up'); time.sleep(60)")
    supervisor.start(supervised)
    await log.until("up")
    first = supervised.pid
    os.kill(first, signal.SIGKILL)
    await log.until("up", times=2)
    assert (supervised.pid != first, supervised.restarts) == (True, 1)
    await supervisor.stop("p")


@pytest.mark.asyncio
async def test_a_program_that_says_it_cannot_start_is_given_up_with_its_last_words():
    log = Log()
    supervisor = Supervisor(log)
    supervisor.start(program("import sys; print('port 8000 is taken'); sys.exit(2)"))
    with pytest.raises(CannotStart, match="port 8000 is taken"):
        await asyncio.wait_for(supervisor.failed, 10)
    await supervisor.stop("p")


@pytest.mark.asyncio
async def test_stopping_is_polite_first_and_then_not():
    log = Log()
    supervisor = Supervisor(log)
    ignore = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)"
    supervised = program(ignore, grace_seconds=0.2)
    supervisor.start(supervised)
    await log.until("up")
    await supervisor.stop("p")
    assert any("killed" in line for _, line in log.lines)
    assert not _alive(supervised.pid)


@pytest.mark.asyncio
async def test_what_a_program_writes_while_it_stops_is_logged():
    log = Log()
    supervisor = Supervisor(log)
    goodbye = "signal.signal(signal.SIGTERM, lambda *_: sys.exit('bye'))"
    polite = f"import signal, sys, time; {goodbye}; print('up'); time.sleep(60)"
    supervisor.start(program(polite))
    await log.until("up")
    await supervisor.stop("p")
    assert log.lines[-1] == ("p", "bye")


@pytest.mark.asyncio
async def test_a_program_that_waits_for_its_restart_is_stopped_at_once(monkeypatch):
    monkeypatch.setattr("worksite.cli.stack.supervisor._LAST_RESTART_SECONDS", 600)
    monkeypatch.setattr("worksite.cli.stack.supervisor._FIRST_RESTART_SECONDS", 600)
    log = Log()
    supervisor = Supervisor(log)
    supervisor.start(program("import sys; sys.exit(1)"))
    await log.until("restarting in 600.0 s")
    async with asyncio.timeout(60):
        await supervisor.stop("p")


@pytest.mark.asyncio
async def test_a_program_dies_with_a_supervisor_that_is_killed(tmp_path):
    pid_file = tmp_path / "pid"
    child = f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); print('up'); time.sleep(60)"
    parent = f"""
import asyncio, os, sys
from worksite.cli.stack.supervisor import Program, Supervisor
async def main():
    supervisor = Supervisor(lambda name, line: print(line, flush=True))
    supervisor.start(Program("p", [sys.executable, "-u", "-c", {child!r}], os.environ))
    await asyncio.Event().wait()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE)
    assert await asyncio.wait_for(process.stdout.readline(), 15) == b"up\n"
    process.kill()
    await process.wait()
    async with asyncio.timeout(10):
        while _alive(int(pid_file.read_text())):
            await asyncio.sleep(0.01)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] != "Z"


def test_the_log_is_one_stream_with_names(tmp_path, capsys):
    with StackLog(tmp_path / "log", echo=as_it_is) as log:
        log.write("admin", "hello")
    assert "admin     | hello" in (tmp_path / "log").read_text()
    assert "admin     | hello" in capsys.readouterr().out


def entry(**more):
    usual = {"time": "2026-11-23T12:00:00.123+00:00", "level": "info", "service": "admin", "message": "task ended"}
    return json.dumps(usual | more)


def test_on_a_terminal_a_log_entry_is_a_line_to_read_and_in_the_file_it_is_what_it_was(tmp_path, capsys):
    with StackLog(tmp_path / "log", echo=readable) as log:
        log.write("admin", entry())
        log.write("admin", entry(level="warning"))
        log.write("nats", "[WRN] no JSON")
        log.write("nats", "[1, 2]")
    assert [line[8:] for line in capsys.readouterr().out.splitlines()[:2]] == [
        " admin     task ended",
        " admin     warning: task ended",
    ]
    assert "".join(readable("nats", "[1, 2]")) == "nats      | [1, 2]"
    assert (tmp_path / "log").read_text().splitlines()[0] == f"admin     | {entry()}"


def test_what_is_logged_cannot_speak_to_the_terminal():
    lines = readable("rag", entry(message="a\x1b[2Jb\nc", exception="Traceback\n  \x1b]0;x\x07")).splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("a\\x1b[2Jb\\nc")
    assert "\x1b" not in "".join(lines)


def test_the_log_never_takes_more_than_four_files_of_ten_mib_and_keeps_the_newest_lines(tmp_path):
    line = "x" * (1 << 20)
    with StackLog(tmp_path / "log") as log:
        for number in range(60):
            log.write("nats", f"{number} {line}")
    sizes = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(sizes) == 4
    assert max(sizes) <= 10 << 20
    assert f"| 59 {line}" in (tmp_path / "log").read_text()


def test_a_description_that_a_killed_stack_left_behind_is_not_believed(tmp_path):
    state = State(tmp_path)
    state.prepare()
    state.description.write_text(json.dumps({"gateway_url": "http://127.0.0.1:1"}))
    with pytest.raises(NoAccess, match="worksite up"):
        Access.find(tmp_path)
    held = state.lock()
    assert Access.find(tmp_path).url == "http://127.0.0.1:1"
    os.close(held)


def test_the_space_for_the_bus_is_chosen_once(tmp_path):
    state = State(tmp_path)
    state.prepare()
    first = state.disk_bytes()
    (state.nats / "disk_bytes").write_text(str(first - 1))
    assert State(tmp_path).disk_bytes() == first - 1


@pytest.mark.asyncio
async def test_a_killed_program_is_started_again_although_a_child_of_it_holds_its_output():
    log = Log()
    supervisor = Supervisor(log)
    child = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); "
    supervised = program(child + "print('up'); time.sleep(60)")
    supervisor.start(supervised)
    await log.until("up")
    os.kill(supervised.pid, signal.SIGKILL)
    await log.until("up", times=2)
    await supervisor.stop("p")


@pytest.mark.asyncio
@pytest.mark.parametrize("taken", [99_999, -1])
async def test_a_port_that_is_none_is_refused_before_anything_starts(tmp_path, taken):
    log = Log()
    with pytest.raises(NotReady, match="DASHBOARD_PORT"):
        async with running_stack(State(tmp_path), tmp_path, Ports(taken, 0), log):
            pass
    assert log.lines == []


def test_what_libraries_leave_behind_is_left_in_the_state(tmp_path):
    """Seen of ONNX Runtime: a cache in the home, and `.ses` where temporary files go."""
    state = State(tmp_path)
    environ = {"HOME": "/home/me", "TMPDIR": "/elsewhere"}
    given = service_environment("rag", state, tmp_path, "nats://127.0.0.1:4222", 1, environ)
    assert given["HOME"] == str(tmp_path / "rag")
    assert given["TMPDIR"] == str(tmp_path / "rag" / "tmp")


def test_copies_of_a_clients_repository_are_made_below_the_state(tmp_path):
    """The architect unpacks the project to read it."""
    given = service_environment("architect", State(tmp_path), tmp_path, "nats://127.0.0.1:4222", 1, {"TMPDIR": "/x"})
    assert given["TMPDIR"] == str(tmp_path / "architect" / "tmp")


@pytest.mark.asyncio
async def test_what_a_killed_program_left_in_its_temporary_folder_is_gone_when_it_starts_again(tmp_path):
    scratch, log = tmp_path / "tmp", Log()
    scratch.mkdir()
    (scratch / "of-an-earlier-stack").write_text("source")
    code = f"""
import os, pathlib, time
print(sorted(os.listdir({str(scratch)!r})), flush=True)
pathlib.Path({str(scratch)!r}, "project.bundle").write_text("source")
print("working", flush=True)
time.sleep(60)
"""
    supervisor = Supervisor(log)
    running = program(code, scratch=scratch)
    supervisor.start(running)
    try:
        await log.until("working")
        os.kill(running.pid, signal.SIGKILL)
        await log.until("working", times=2)
    finally:
        await supervisor.stop("p")
    assert [line for _, line in log.lines if line.startswith("[")] == ["[]", "[]"]


@pytest.mark.parametrize("service", SERVICES)
def test_the_key_of_a_language_model_goes_to_those_who_call_models_and_to_nobody_else(tmp_path, service):
    environ = {"ANTHROPIC_API_KEY": "sk-secret", "ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "MODEL_MEDIUM": "m"}
    given = service_environment(service, State(tmp_path), tmp_path, "nats://127.0.0.1:4222", 1, environ)
    assert ("ANTHROPIC_API_KEY" in given) == (service in {"admin", "architect", "builder", "validator"})


def test_no_key_is_near_a_candidate_that_nothing_confines(tmp_path):
    environ = {"ANTHROPIC_API_KEY": "sk-secret", "SANDBOX": "none"}
    given = service_environment("validator", State(tmp_path), tmp_path, "nats://127.0.0.1:4222", 1, environ)
    assert given["SANDBOX"] == "none"
    assert "ANTHROPIC_API_KEY" not in given
