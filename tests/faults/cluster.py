"""The six services on a cluster of three nats-servers, every stream with three replicas; see README.md."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr
from running import LIMITS, LITTLE_TO_INDEX, READY_SECONDS, ROOT
from worksite.cli.client.access import Access, ClientSettings
from worksite.cli.stack import nats_config
from worksite.cli.stack.embedded import service_environment
from worksite.cli.stack.log import StackLog
from worksite.cli.stack.state import PROVISIONER, State
from worksite.cli.stack.supervisor import Program, Supervisor
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.processes import free_port
from worksite.common.subjects import SERVICES
from worksite.common.testing import NatsCluster, start_cluster

_DISK_BYTES = 4 << 30


@dataclass(frozen=True)
class ClusterStack:
    """Supervised services and the cluster below them: what `running.Stack` is to one server."""

    cluster: NatsCluster
    state: State
    supervisor: Supervisor
    addresses: Mapping[str, str]

    def address(self, name: str) -> str:
        """gateway_url."""
        return self.addresses[name]

    async def token(self) -> str:
        return await Access(self.address("gateway_url"), self.state, ClientSettings()).token()

    def pid(self, program: str) -> int | None:
        """Of a service; None while it is down."""
        (pid,) = [each.pid for each in self.supervisor.programs if each.name == program]
        alive = pid and Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
        return pid if alive else None

    def unfinished(self) -> list[str]:
        """What consumers still have before them, as their leaders tell. Raises httpx.HTTPError while a node is down."""
        return [line for node in self.cluster.nodes for line in _unfinished(node.directory.name, node.monitor_port)]


@contextlib.asynccontextmanager
async def running_cluster() -> AsyncGenerator[ClusterStack]:
    """Everything up and ready inside the block; each service has its own user, nobody may create streams."""
    with tempfile.TemporaryDirectory(prefix="worksite-faults-") as directory:
        state, nodes = _prepared(Path(directory))
        passwords = {user: state.secret(user, "nats_password") for user in (*SERVICES, PROVISIONER)}
        with (
            start_cluster(nodes, nats_config.authorization(passwords, PROVISIONER)) as cluster,
            StackLog(state.log) as log,
        ):
            await _provisioned(cluster, passwords[PROVISIONER])
            supervisor = Supervisor(log.write)
            try:
                yield await _started(cluster, state, supervisor)
            finally:
                await asyncio.gather(*(supervisor.stop(program.name) for program in supervisor.programs))


def _prepared(directory: Path) -> tuple[State, Path]:
    """The services' state and the nodes' place."""
    state, nodes = State(directory / "state"), directory / "nodes"
    state.prepare()
    state.wheelhouse.rmdir()
    state.wheelhouse.symlink_to(ROOT / ".worksite" / "wheelhouse")
    nodes.mkdir()
    return state, nodes


async def _provisioned(cluster: NatsCluster, password: str) -> None:
    bus = await Bus.connect(BusSettings(cluster.url, PROVISIONER, PROVISIONER, SecretStr(password)))
    try:
        await provision(bus, _DISK_BYTES, replicas=3)
    finally:
        await bus.close()


async def _started(cluster: NatsCluster, state: State, supervisor: Supervisor) -> ClusterStack:
    ports = {service: free_port() for service in SERVICES}
    for service in SERVICES:
        environment = service_environment(
            service, state, ROOT, cluster.url, ports[service], os.environ | LIMITS | LITTLE_TO_INDEX
        )
        supervisor.start(Program(service, [sys.executable, "-m", f"worksite.{service}.main"], environment))
    await _ready(ports, supervisor)
    return ClusterStack(cluster, state, supervisor, {"gateway_url": f"http://127.0.0.1:{ports['gateway']}"})


async def _ready(ports: Mapping[str, int], supervisor: Supervisor) -> None:
    waiting, deadline = set(ports), time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        while waiting:
            if supervisor.failed.done() or time.monotonic() > deadline:
                raise RuntimeError(f"not ready: {supervisor.account(waiting)}")
            for service in list(waiting):
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(f"http://127.0.0.1:{ports[service]}/readyz")).status_code == 200:
                        waiting.remove(service)
            await asyncio.sleep(0.05)


def _unfinished(node: str, monitor_port: int) -> list[str]:
    answer = httpx.get(f"http://127.0.0.1:{monitor_port}/jsz?consumers=true", timeout=5, trust_env=False).json()
    streams: list[dict[str, Any]] = answer["account_details"][0]["stream_detail"]
    return [
        f"{stream['name']}: {consumer['num_pending']} pending, {consumer['num_ack_pending']} not acked"
        for stream in streams
        for consumer in stream.get("consumer_detail", ())
        if consumer.get("cluster", {}).get("leader") == node
        and (consumer["num_pending"] or consumer["num_ack_pending"])
    ]
