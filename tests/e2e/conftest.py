"""One stack for all end-to-end tests, started the way a person does, spoken to through the gateway only."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

import httpx
import pytest
from worksite.builder.testing import run_git
from worksite.builder.testing_forge import Forge, running_forge

ROOT = Path(__file__).parents[2]
WORKSITE = [sys.executable, "-m", "worksite.cli.main"]
READY_SECONDS = 150


@dataclass
class RunningStack:
    """A stack on a state directory of its own, and the command that talks to it."""

    state: Path
    out: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return json.loads((self.state / "stack.json").read_text())["gateway_url"]

    def command(self, *arguments: str) -> list[str]:
        return [*WORKSITE, *arguments, "--state", str(self.state)]

    def run(self, request: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`worksite run`, which uses this stack because it is running."""
        command = [*self.command("run", request, *options), "--out", str(self.out)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)

    def token(self, *options: str) -> str:
        command = self.command("token", *options)
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()

    def client(self, *token_options: str) -> httpx.Client:
        """Speaks to the gateway; close it."""
        headers = {"Authorization": f"Bearer {self.token(*token_options)}"}
        again = httpx.HTTPTransport(retries=6, trust_env=False)  # while the gateway is being started again
        return httpx.Client(base_url=self.url, headers=headers, transport=again, trust_env=False, timeout=30)

    def watch(self, task: str) -> subprocess.CompletedProcess[str]:
        """`worksite watch`, to the end of the task."""
        command = [*self.command("watch", task), "--out", str(self.out)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    def commits(self, task: str) -> list[str]:
        """Of the delivered project, newest first."""
        command = ["git", "-C", self.out / task / "project", "log", "--format=%H"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    @staticmethod
    def events(http: httpx.Client, task: str) -> list[tuple[str, str, dict[str, Any]]]:
        """Every event so far, as (kind, step, body)."""
        found = []
        with http.stream("GET", f"/v1/tasks/{task}/events", params={"follow": "false"}) as source:
            for line in source.iter_lines():
                if line.startswith("data:") and len(line) > 6:
                    event = json.loads(line[5:])
                    found.append((event["kind"], event["step"], event["body"]))
        return found

    def kill_when(self, http: httpx.Client, task: str, step: str, service: str) -> None:
        """SIGKILL the service as soon as the step is in flight; a gateway that restarts is asked again."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if any(body.get("step") == step for _, _, body in self.events(http, task)):
                self.kill(service)
                return
            time.sleep(0.02)
        raise AssertionError(f"{step} was never reached")

    def kill(self, service: str) -> None:
        """SIGKILL, as the out-of-memory killer would."""
        os.kill(self.pid(service), signal.SIGKILL)

    def pid(self, program: str) -> int:
        """Of a service or of nats, as soon as it runs: who was stopped a moment ago is being started again."""
        mark = b"nats-server" if program == "nats" else f"worksite.{program}.main".encode()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for child in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if mark in Path(f"/proc/{child}/cmdline").read_bytes():
                        return int(child)
            time.sleep(0.02)
        raise AssertionError(f"{program} is not running")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory):
    """`worksite up` on free ports, without a language model, stopped with SIGINT at the end."""
    with started(tmp_path_factory.mktemp("stack"), {}) as running:
        yield running


@pytest.fixture(scope="session")
def start_stack():
    """Of another stack, with settings of its own: `with start_stack(directory, settings) as stack`."""
    return started


@contextlib.contextmanager
def started(directory: Path, settings: dict[str, str]) -> Iterator[RunningStack]:
    """A stack with these settings, whatever the environment of the tests says about models."""
    state = directory / "state"
    state.mkdir()
    # Filled at set-up (see the Makefile); shared, because it is read only.
    (state / "wheelhouse").symlink_to(ROOT / ".worksite" / "wheelhouse")
    log = (directory / "up.log").open("wb")
    command = [*WORKSITE, "up", "--state", str(state), "--port", "0", "--admin-port", "0"]
    ours = {name: value for name, value in os.environ.items() if not name.startswith("ANTHROPIC_")}
    # The repositories of the tests are local, and a machine that does much else may keep NATS waiting.
    environment = ours | {"ALLOW_FILE_URLS": "true", "BUS_PATIENCE_SECONDS": "4"} | settings
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, preexec_fn=_as_in_a_terminal
    )
    try:
        _wait_until_ready(process, state, directory / "up.log")
        yield RunningStack(state, directory / "out", process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        log.close()


@dataclass
class Delivering:
    """A stack that may push, with a model, and a forge with somebody's private repository `team/shop`."""

    stack: RunningStack
    forge: Forge
    remote: Path
    secrets: Mapping[str, str]
    traces: list[bytes]
    """What the services exported, as it went over the wire."""

    def commit(self) -> str:
        """The branch main moves on."""
        tree = run_git(self.remote, "mktree", stdin=_blob(self.remote, "README.md", "# Shop\n"))
        parent = run_git(self.remote, "for-each-ref", "--format=-p %(objectname)", "refs/heads/main").split()
        made = run_git(self.remote, *_SOMEBODY, "commit-tree", tree, *parent, "-m", "theirs")
        run_git(self.remote, "update-ref", "refs/heads/main", made)
        return made

    def head(self, branch: str, remote: Path | None = None) -> str | None:
        """The commit of a branch there, if there is one."""
        return run_git(remote or self.remote, "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}") or None


_SOMEBODY = ("-c", "user.name=a", "-c", "user.email=a@example.org")


def _blob(repository: Path, name: str, content: str) -> str:
    """As git mktree takes it."""
    return f"100644 blob {run_git(repository, 'hash-object', '-w', '--stdin', stdin=content)}\t{name}\n"


@pytest.fixture(scope="session")
def delivering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivering]:
    """Tasks that ask for a greeting pass in one round, on whatever commit they begin."""
    folder = tmp_path_factory.mktemp("delivering")
    traces: list[bytes] = []
    key = token_urlsafe(32)  # the documented one is in every stack's knowledge
    with (
        running_forge(folder / "forge") as forge,
        _speaking(_GREETING, key) as provider,
        _collecting(traces) as collector,
    ):
        secrets = {
            "ANTHROPIC_API_KEY": key,
            "GIT_CREDENTIALS": forge.credentials(),
            "JWT_SECRET_KEY": token_urlsafe(48),
        }
        settings = {
            **secrets,
            "ANTHROPIC_BASE_URL": provider,
            "ALLOW_PRIVATE_HOSTS": "true",
            "ALLOW_FILE_PUSHES": "true",
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        }
        remote = forge.project("team/shop")
        with started(folder, settings) as stack:
            found = Delivering(stack, forge, remote, secrets, traces)
            found.commit()
            yield found


@contextlib.contextmanager
def _collecting(traces: list[bytes]) -> Iterator[str]:
    """The address of a collector of traces that keeps what it is sent."""

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            traces.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


_GREETING = ROOT / "libs/common/src/worksite/common/testing/messages_api/example.json"
"""The example of docs/models.md."""


@contextlib.contextmanager
def _speaking(script: Path, key: str) -> Iterator[str]:
    """The address of a server of the Messages API that follows a script."""
    command = [sys.executable, "-m", "worksite.common.testing.messages_api", str(script), "--key", key]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.communicate()


def _as_in_a_terminal() -> None:
    """Whoever runs the tests in the background of a script has Ctrl-C ignored, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_until_ready(process: subprocess.Popen[bytes], state: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not (state / "stack.json").exists():
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.05)
