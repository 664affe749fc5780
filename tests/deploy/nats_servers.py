"""NATS as the manifests configure it, run by the real server; on one machine, so at other ports and paths."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from kustomized import app, built, config, environment, secret_references, workloads
from new_secrets_of import made_secrets
from pydantic import SecretStr
from worksite.cli.commands import create_streams
from worksite.common.bus import BusSettings
from worksite.common.processes import free_port, nats_server

READY_SECONDS = 60


class Server:
    """One pod's nats-server."""

    def __init__(self, combination: str, folder: Path, ordinal: int, routes: dict[str, int]) -> None:
        self.port, self.monitor = free_port(), free_port()
        self.pid_file = folder / "nats.pid"
        manifests = built(combination)
        container = app(workloads(manifests)["nats"])
        for name, text in config(manifests, "nats").items():
            (folder / name).write_text(self._here(text, folder, routes.get(f"nats-{ordinal}", 0)))
        env = {"POD_NAME": f"nats-{ordinal}"}
        for name, reference in secret_references(container).items():
            env[name] = made_secrets()[reference["name"]][reference["key"]]
        for name, value in environment(manifests, container).items():
            env[name] = re.sub(r"\$\((\w+)\)", lambda found: env[found[1]], value)
            for pod, port in routes.items():
                env[name] = env[name].replace(f"{pod}.nats-headless:6222", f"127.0.0.1:{port}")
        self.log = folder / "nats.log"
        with self.log.open("wb") as output:
            command = [nats_server(), "--config", folder / "nats.conf"]
            self.process = subprocess.Popen(command, env=env, stdout=output, stderr=output)

    def _here(self, text: str, folder: Path, route: int) -> str:
        for container, here in (
            ("port: 4222", f"port: {self.port}"),
            ("http_port: 8222", f"http_port: {self.monitor}"),
            ("port: 6222", f"port: {route}"),
            ("/data", str(folder / "data")),
            ("/tmp/nats.pid", str(self.pid_file)),
        ):
            text = text.replace(container, here)
        return text

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def wait(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.monitor}/healthz", timeout=1).close()
                return
            time.sleep(0.02)
        raise RuntimeError(self.log.read_text()[-3000:])

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(combination: str, folder: Path) -> Iterator[list[Server]]:
    """As many servers as the overlay has replicas."""
    count = workloads(built(combination))["nats"]["spec"]["replicas"]
    routes = {f"nats-{n}": free_port() for n in range(count)}
    servers: list[Server] = []
    try:
        for n in range(count):
            (folder / str(n)).mkdir()
            servers.append(Server(combination, folder / str(n), n, routes))
        for server in servers:
            server.wait()
        yield servers
    finally:
        for server in servers:
            server.kill()


def who(user: str, url: str) -> BusSettings:
    return BusSettings(url, user, user, SecretStr(made_secrets()["worksite-nats"][user]))


async def provisioned(combination: str, servers: list[Server]) -> None:
    """What the Job does, with its own arguments; a cluster may still lack its leader."""
    container = app(workloads(built(combination))["provision"])
    (gib,) = re.findall(r"--disk-gib=(\d+)", " ".join(container["args"]))
    replicas = int(environment(built(combination), container)["STREAM_REPLICAS"])
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            await create_streams(who("provision", servers[0].url), int(gib) << 30, replicas)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
