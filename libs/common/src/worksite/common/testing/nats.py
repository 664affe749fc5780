"""A real nats-server on a free port with a temporary store; ready in about 10 ms."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from worksite.common.processes import free_port, nats_server

START_SECONDS = 10.0
_PORT_ATTEMPTS = 4


@dataclass
class NatsServer:
    """A running server; `kill` and `start` again to play an outage on the same port and store."""

    directory: Path
    config: str = ""
    port: int = field(default_factory=free_port)
    monitor_port: int = field(default_factory=free_port)
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

    def stand_still(self) -> None:
        """SIGSTOP: connections stay open, and nobody answers until `go_on`."""
        if self._process:
            self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.monitor_port}/healthz", timeout=1).close()
                return
            time.sleep(0.003)
        raise RuntimeError(f"nats-server did not start: {(self.directory / 'nats.log').read_text()[-2000:]}")


@contextlib.contextmanager
def start_nats(directory: Path, config: str = "") -> Generator[NatsServer]:
    """A server for one test."""
    server = _started(directory, config)
    try:
        yield server
    finally:
        server.kill()


def _started(directory: Path, config: str) -> NatsServer:
    """A free port may be taken by somebody else before the server has it: then others are tried."""
    for _ in range(_PORT_ATTEMPTS - 1):
        server = NatsServer(directory, config)
        with contextlib.suppress(RuntimeError):
            server.start()
            return server
        server.kill()
    server = NatsServer(directory, config)
    server.start()
    return server
