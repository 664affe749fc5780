"""The doctor: each check tells sound from wanting, names the remedy, and changes nothing."""

import json
import os
import shutil
import socket
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner
from worksite.cli.doctor import finding, isolation, machine, network, programs, storage, supplies, variables
from worksite.cli.doctor.finding import Finding
from worksite.cli.main import app
from worksite.cli.stack import disk
from worksite.cli.stack.embedded import Ports
from worksite.cli.stack.state import State

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("found", "level"),
    [
        (machine.system("linux", "6.1.0-13-amd64"), "warning"),
        (machine.system("linux", "6.12.0"), "ok"),
        (machine.system("darwin", "24.0"), "missing"),
        (machine.architecture("riscv64"), "missing"),
        (machine.python((3, 10, 12), True), "missing"),
        (machine.python((3, 12, 1), False), "warning"),
        (machine.processors(1), "warning"),
        (machine.memory(1 << 30), "warning"),
        (machine.memory(8 << 30), "ok"),
        (programs.git(None), "missing"),
        (programs.git("git version 2.25.1"), "missing"),
        (programs.git("git version 2.30.2"), "warning"),
        (programs.git("git version 2.38.1"), "warning"),
        (programs.git("git version 2.39.5 (Apple Git-154)"), "ok"),
        (programs.make(False), "warning"),
        (storage.inodes(5), "missing"),
        (storage.inodes(None), "ok"),
    ],
)
def test_a_check_judges_what_was_found_and_says_how_to_mend_it(found, level):
    assert found.level == level
    assert bool(found.remedy) == (level != "ok")


def test_a_clock_behind_the_newest_file_is_noticed():
    assert storage.clock(now=1000.0, newest=1030.0).level == "ok"
    behind = storage.clock(now=1000.0, newest=8200.0)
    assert (behind.level, behind.finding[:6]) == ("warning", "7200 s")


def test_a_disk_that_a_start_would_refuse_is_missing(tmp_path):
    assert storage.space(State(tmp_path), disk.NEEDED_BYTES - 1).level == "missing"
    assert storage.space(State(tmp_path), 100 << 30).level == "ok"


def test_a_state_of_a_newer_version_is_missing_and_an_absent_one_is_not(tmp_path):
    state = State(tmp_path / "s")
    assert storage.condition(state).level == "ok"
    state.prepare()
    (state.root / "format").write_text("2")
    assert "a newer version" in storage.condition(state).finding


def test_a_running_and_a_killed_stack_are_told_apart(tmp_path):
    state = State(tmp_path)
    state.prepare()
    held = state.lock()
    state.description.write_text(json.dumps({"gateway_url": "http://127.0.0.1:1"}))
    assert "is running, http://127.0.0.1:1" in storage.condition(state).finding
    os.close(held)
    assert "was killed" in storage.condition(state).finding


def test_secrets_that_others_may_read_are_named(tmp_path):
    state = State(tmp_path)
    state.prepare()
    assert storage.secrets(state).level == "ok"
    (state.secrets("cli") / "client_secret").chmod(0o644)
    assert "client_secret" in storage.secrets(state).finding


def test_a_taken_port_is_a_warning_unless_our_own_stack_has_it(tmp_path):
    state = State(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert next(network.checks(Ports(port, 0), state)).level == "warning"
        held = state.lock()
        state.description.write_text(json.dumps({"gateway_url": f"http://127.0.0.1:{port}"}))
        assert next(network.checks(Ports(port, 0), state)).level == "ok"
        os.close(held)


def test_a_missing_wheel_is_found_whatever_the_spelling_of_its_name():
    pins = {("annotated-doc", "0.0.7"), ("PyYAML", "6.0"), ("anyio", "4.0")}
    wheels = {
        "annotated_doc-0.0.7-py3-none-any.whl",
        "pyyaml-6.0-cp311-cp311-linux_x86_64.whl",
        "anyio-3.0-py3-a-b.whl",
    }
    assert supplies.absent(pins, wheels) == ["anyio==4.0"]


def probe(**changes):
    sound = {"mode": "auto", "level": "namespaces", "layers": ["landlock", "seccomp"], "problem": None}
    return sound | {"stronger": None, "landlock_abi": 7, "bubblewrap": "/usr/bin/bwrap"} | changes


@pytest.mark.parametrize(
    ("answer", "level", "said"),
    [
        (probe(), "ok", "level namespaces"),
        (probe(level="jail", bubblewrap=None), "warning", "apt install bubblewrap"),
        (probe(level="jail", stronger="clone: EPERM"), "warning", "clone: EPERM"),
        (probe(level="jail", mode="jail"), "ok", "level jail"),
        (probe(level="none", mode="none"), "warning", "confines nothing"),
        (probe(level=None, problem="x", landlock_abi=0), "missing", "lsm="),
        (probe(level=None, problem="needs CAP_SETUID"), "missing", "needs CAP_SETUID"),
        ({"problem": "No module named worksite.validator"}, "missing", "No module"),
    ],
)
def test_the_probe_of_the_validator_decides_about_isolation(answer, level, said):
    found = isolation.judged(answer)
    assert found.level == level
    assert said in f"{found.finding}: {found.remedy}"


@pytest.mark.asyncio
async def test_a_setting_that_a_service_would_refuse_is_found_by_that_service(tmp_path):
    environ = {"PATH": os.environ["PATH"], "JWT_SECRET_KEY": "short", "ALLOW_INDEX": "perhaps"}
    found = await variables.check(State(tmp_path / "s"), ROOT, environ)
    assert found.level == "missing"
    assert "gateway: JWT_SECRET_KEY" in found.finding
    assert "validator: ALLOW_INDEX" in found.finding
    assert "short" not in found.finding
    assert not (tmp_path / "s").exists()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ANTHROPIC_API_KEY": "any", "MODEL_MEDIUM": "my-llama"}, "no price is known for the model 'my-llama'"),
        ({"MODEL_PRICES": "/nonexistent/prices.json"}, "/nonexistent/prices.json cannot be read"),
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:8088"}, "ANTHROPIC_API_KEY is not"),
        ({"ANTHROPIC_API_KEY": "any", "ANTHROPIC_BASE_URL": "localhost:8088"}, "no address with a scheme"),
    ],
)
async def test_what_no_stack_starts_with_is_found_with_the_services_that_refuse_it(tmp_path, given, said):
    found = await variables.check(State(tmp_path / "s"), ROOT, {"PATH": os.environ["PATH"]} | given)
    assert found.level == "missing"
    assert found.finding.startswith("admin, architect, builder, validator: ")
    assert said in found.finding


def test_an_env_file_is_compared_with_the_names_that_there_are(tmp_path):
    (tmp_path / ".env.example").write_text("# a\n#JWT_SECRET_KEY=\n# b\nLOG_LEVEL=INFO\n")
    (tmp_path / ".env").write_text("export LOG_LEVEL='DEBUG'\nJWT_SECRET_KEY=x\nLOGLEVEL=1\n")
    (tmp_path / ".env").chmod(0o644)
    text = "\n".join(f"{f.finding} {f.remedy}" for f in variables.env_file(tmp_path, {"LOG_LEVEL": "DEBUG"}))
    assert "unknown: LOGLEVEL" in text
    assert "chmod 600" in text
    assert "not in effect: JWT_SECRET_KEY" in text


def test_one_missing_thing_is_enough_to_say_no():
    fine, short = Finding("git", "ok", "2.39"), Finding("disk", "missing", "full", "free some")
    assert finding.can_run([fine, Finding("port", "warning", "taken", "x")])
    assert not finding.can_run([fine, short])
    assert finding.as_lines([fine, short])[1:] == [
        "missing  disk  full: free some",
        "Worksite cannot run here yet: 1 missing, 0 to look at.",
    ]


def test_one_port_for_two_is_found(tmp_path):
    same, *_ = network.checks(Ports(4321, 4321), State(tmp_path / "s"))
    assert (same.check, same.level) == ("ports", "warning")
    assert {each.check for each in network.checks(Ports(0, 0), State(tmp_path / "s"))} == {"port", "admin port"}


def test_a_secret_that_was_cut_short_is_found(tmp_path):
    state = State(tmp_path / "s")
    state.prepare()
    assert storage.secrets(state).level == "ok"
    (state.secrets("gateway") / "issuer_key").write_text("")
    found = storage.secrets(state)
    assert found.level == "missing"
    assert "issuer_key is empty" in found.finding
    shutil.rmtree(state.root / "secrets")
    state.prepare()
    assert storage.secrets(state).level == "ok"


def test_the_doctor_examines_this_machine_and_leaves_it_as_it_was(tmp_path):
    started = time.monotonic()
    result = CliRunner().invoke(app, ["doctor", "--json", "--state", str(tmp_path / "s"), "--root", str(ROOT)])
    answer = json.loads(result.stdout)
    checked = {each["check"] for each in answer["findings"]}
    assert {"git", "isolation", "settings", "disk", "clock", "wheelhouse", "embedder"} <= checked
    assert result.exit_code == 1  # this state directory has no wheels
    assert not answer["can_run"]
    assert list(tmp_path.iterdir()) == []
    assert time.monotonic() - started < 60
