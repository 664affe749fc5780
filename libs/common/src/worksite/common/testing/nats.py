"""A real nats-server on a free port with a temporary store, ready in about 10 ms; or three as a cluster, in seconds."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worksite.common.processes import free_port, nats_server

START_SECONDS = 10.0
QUORUM_SECONDS = 60.0
"""A cluster elects its leader in about 5 s on an idle machine."""
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
        self.launch()
        self.wait_until_ready(START_SECONDS)

    def launch(self) -> None:
        """Start the process, no more: a node of a cluster is ready only when others are there."""
        config = self._written()
        arguments = ["-c", str(config), "-js", "-sd", str(self.directory / "store")]
        network = ["-a", "127.0.0.1", "-p", str(self.port), "-m", str(self.monitor_port)]
        with (self.directory / "nats.log").open("ab") as output:
            self._process = subprocess.Popen([nats_server(), *arguments, *network], stdout=output, stderr=output)

    def reload(self) -> None:
        """Have it read `config` again, as `nats-server --signal reload` does."""
        self._written()
        if self._process:
            self._process.send_signal(signal.SIGHUP)

    def _written(self) -> Path:
        config = self.directory / "nats.conf"
        config.write_text(self.config)
        return config

    def monitored(self, path: str) -> Any:
        """What its monitoring endpoint answers. Raises OSError, also while it is not well."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.monitor_port}/{path}", timeout=1) as answer:
            return json.load(answer)

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
            while not _stands_still(self._process.pid):  # its threads stop one by one, and the last may still answer
                time.sleep(0.001)

    def go_on(self) -> None:
        if self._process:
            self._process.send_signal(signal.SIGCONT)

    def wait_until_ready(self, patience_seconds: float) -> None:
        """Raises RuntimeError with the end of its log."""
        deadline = time.monotonic() + patience_seconds
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            with contextlib.suppress(OSError):
                self.monitored("healthz")
                return
            time.sleep(0.003)
        raise RuntimeError(f"nats-server did not start: {(self.directory / 'nats.log').read_text()[-2000:]}")


@dataclass(frozen=True)
class NatsCluster:
    """Servers that replicate among themselves; each has a store of its own."""

    nodes: tuple[NatsServer, ...]

    @property
    def url(self) -> str:
        """Of all nodes, as the setting NATS_URL takes it."""
        return ",".join(node.url for node in self.nodes)

    def leader(self, stream: str) -> NatsServer | None:
        """Of one stream; None while there is none, or nobody can say."""
        for node in self.nodes:
            with contextlib.suppress(OSError):
                for account in node.monitored("jsz?streams=true").get("account_details", ()):
                    for found in account.get("stream_detail", ()):
                        if found["name"] == stream and (leader := found["cluster"].get("leader")):
                            return self._node(leader)
        return None

    def _complete(self) -> bool:
        """Whoever asks before for three replicas may be told that a peer is offline."""
        for node in self.nodes:
            with contextlib.suppress(OSError):
                view = node.monitored("jsz")["meta_cluster"]
                if view.get("leader") == node.directory.name:
                    peers = view.get("replicas", [])
                    known = [peer for peer in peers if peer["current"] and not peer.get("offline")]
                    return len(known) == len(self.nodes) - 1
        return False

    def _node(self, name: str) -> NatsServer:
        return next(node for node in self.nodes if node.directory.name == name)

    def wait_until_ready(self) -> None:
        """Until every node takes part, and the leader knows. Raises RuntimeError, with the log of one that does not."""
        for node in self.nodes:
            node.wait_until_ready(QUORUM_SECONDS)
        deadline = time.monotonic() + QUORUM_SECONDS
        while not self._complete():
            if time.monotonic() > deadline:
                raise RuntimeError("the leader of the cluster misses a server")
            time.sleep(0.05)

    def kill(self) -> None:
        for node in self.nodes:
            node.kill()


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


@contextlib.contextmanager
def start_cluster(directory: Path, config: str = "", size: int = 3) -> Generator[NatsCluster]:
    """A cluster that has its leader; nodes are named by their directories, `n1` and so on."""
    cluster = _cluster(directory, config, size)
    try:
        for node in cluster.nodes:
            node.launch()
        cluster.wait_until_ready()
        yield cluster
    finally:
        cluster.kill()


def _cluster(directory: Path, config: str, size: int) -> NatsCluster:
    routes = [f"127.0.0.1:{free_port()}" for _ in range(size)]
    return NatsCluster(tuple(_node(directory / f"n{i}", config, own, routes) for i, own in enumerate(routes, 1)))


def _node(directory: Path, config: str, own: str, routes: list[str]) -> NatsServer:
    directory.mkdir()
    cluster = {"name": "worksite", "listen": own, "routes": [f"nats://{route}" for route in routes]}
    return NatsServer(directory, f"server_name: {directory.name}\ncluster: {json.dumps(cluster)}\n{config}")


def _stands_still(pid: int) -> bool:
    """Is every thread stopped, or the process gone?"""
    states = [_state(task) for task in Path(f"/proc/{pid}/task").glob("*")]
    return all(state in {"T", "t", "Z", "X", ""} for state in states)


def _state(task: Path) -> str:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]  # see proc(5): the name may hold anything
    except OSError:
        return ""
