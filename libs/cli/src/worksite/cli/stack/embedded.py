"""Start the whole system on this machine: provision, nats-server, six services, ready or a clear reason why not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr
from worksite.cli.stack import nats_config
from worksite.cli.stack.state import PROVISIONER, State
from worksite.cli.stack.supervisor import CannotStart, Program, Supervisor
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.errors import BusUnavailable
from worksite.common.processes import free_port, nats_server
from worksite.common.subjects import SERVICES

READY_SECONDS = 60.0
_INHERITED = (
    "PATH", "HOME", "LANG", "TMPDIR", "LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT", "GRACE_SECONDS", "BIND_HOST",
    "WORKER_CONCURRENCY",
)  # fmt: skip
_OPTIONS: dict[str, tuple[str, ...]] = {
    "gateway": ("MAX_BODY_BYTES", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_JWKS_URL", "JWT_SECRET_KEY"),
    "admin": (),
    "architect": (),
    "builder": ("MAX_REPOSITORY_BYTES", "CLONE_TIMEOUT_SECONDS", "ALLOW_FILE_URLS", "ALLOW_PRIVATE_HOSTS"),
    "validator": ("SANDBOX", "ALLOW_INDEX"),
    "rag": (
        "KNOWLEDGE_DIRS", "RAG_EMBEDDER_PATH", "RAG_EMBEDDER_THREADS", "RAG_ALPHA", "RAG_COLLECTION",
        "QDRANT_HOST", "QDRANT_PORT", "QDRANT_API_KEY",
    ),
}  # fmt: skip
"""What of our environment each service gets besides its wiring: nobody is handed a variable that is not its own."""


class NotReady(Exception):
    """The stack did not come up; the text says what is missing."""


@dataclass(frozen=True)
class Stack:
    """A running stack's addresses."""

    gateway_url: str
    admin_url: str
    nats_url: str
    monitor_url: str
    supervisor: Supervisor


@dataclass(frozen=True)
class Ports:
    """0 means: any free port."""

    gateway: int
    admin: int


@contextlib.asynccontextmanager
async def running_stack(
    state: State, project_root: Path, ports: Ports, log: Callable[[str, str], None]
) -> AsyncGenerator[Stack]:
    """Everything up and ready inside the block; drained and stopped after it.

    Raises NotReady, StateInUse.
    """
    descriptor = state.lock()
    state.prepare()
    supervisor = Supervisor(log)
    try:
        stack = await _start(state, project_root, ports, supervisor)
        yield stack
    except CannotStart as error:
        raise NotReady(str(error)) from error
    finally:
        state.description.unlink(missing_ok=True)
        await _stop(supervisor)
        os.close(descriptor)


async def _start(state: State, project_root: Path, ports: Ports, supervisor: Supervisor) -> Stack:
    gateway, admin = _port("DASHBOARD_PORT", ports.gateway), _port("ADMIN_PORT", ports.admin)
    nats_port, monitor_port = free_port(), free_port()
    nats_url = f"nats://127.0.0.1:{nats_port}"
    disk = state.disk_bytes()
    _write_private(state.nats / "nats.conf", _nats_conf(state, nats_port, monitor_port, disk))
    supervisor.start(Program("nats", [nats_server(), "-c", str(state.nats / "nats.conf")], os.environ, 10))
    await _provisioned(state, nats_url, disk, supervisor)
    health: dict[str, str] = {}
    for service in SERVICES:
        port = {"gateway": gateway, "admin": admin}.get(service) or free_port()
        environment = _environment(service, state, project_root, nats_url, port)
        argv = [sys.executable, "-m", f"worksite.{service}.main"]
        supervisor.start(Program(service, argv, environment, _grace_seconds()))
        health[service] = f"http://127.0.0.1:{port}/readyz"
    await _ready(health, supervisor)
    stack = Stack(
        gateway_url=f"http://127.0.0.1:{gateway}",
        admin_url=f"http://127.0.0.1:{admin}",
        nats_url=nats_url,
        monitor_url=f"http://127.0.0.1:{monitor_port}",
        supervisor=supervisor,
    )
    state.description.write_text(_description(stack))
    return stack


def _nats_conf(state: State, port: int, monitor_port: int, disk: int) -> str:
    passwords = {user: state.secret(user, "nats_password") for user in (*SERVICES, PROVISIONER)}
    return nats_config.render(
        port=port,
        monitor_port=monitor_port,
        store=state.nats / "store",
        max_store_bytes=disk,
        users=nats_config.authorization(passwords, PROVISIONER),
    )


async def _provisioned(state: State, nats_url: str, disk: int, supervisor: Supervisor) -> None:
    settings = BusSettings(nats_url, PROVISIONER, PROVISIONER, SecretStr(state.secret(PROVISIONER, "nats_password")))
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            bus = await Bus.connect(settings)
            break
        except BusUnavailable as error:
            if supervisor.failed.done():
                supervisor.failed.result()
            if time.monotonic() > deadline:
                raise NotReady(f"nats-server did not come up: {error}") from error
            await asyncio.sleep(0.05)
    try:
        await provision(bus, disk)
    finally:
        await bus.close()


def _environment(service: str, state: State, root: Path, nats_url: str, port: int) -> dict[str, str]:
    """The settings of one service. Each gets what it reads, and only its own secrets."""
    wiring = {
        "NATS_URL": nats_url,
        "NATS_USER": service,
        "SECRETS_DIR": str(state.secrets(service)),
        "STATE_DIR": str(state.of(service)),
        "OPS_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    blueprints = {"BLUEPRINTS_DIR": str(root / "blueprints")}
    own: dict[str, dict[str, str]] = {
        "gateway": {"DASHBOARD_PORT": str(port), "POLICY_DIR": str(root / "policies")},
        "admin": {"ADMIN_PORT": str(port)},
        "architect": blueprints,
        "builder": blueprints,
        "validator": {"WHEELHOUSE_DIR": str(state.wheelhouse)},
        "rag": blueprints | {"KNOWLEDGE_DIRS": str(root / "docs")},
    }
    given = {name: os.environ[name] for name in (*_INHERITED, *_OPTIONS[service]) if name in os.environ}
    return wiring | own[service] | given


def _grace_seconds() -> float:
    """A little more than the services take for themselves."""
    try:
        return max(15.0, float(os.environ.get("GRACE_SECONDS", "10")) + 5)
    except ValueError:
        return 15.0  # the services refuse the value themselves, by name


def _port(variable: str, wanted: int) -> int:
    """The wanted port if it is free. Raises NotReady naming the variable that changes it."""
    if wanted == 0:
        return free_port()
    if not 0 < wanted < 65536:
        raise NotReady(f"{variable}: {wanted} is no port; ports go from 0 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError as error:
            raise NotReady(f"port {wanted} is taken ({error.strerror}): set {variable} to a free one") from error
    return wanted


async def _ready(health: dict[str, str], supervisor: Supervisor) -> None:
    """Until every service says so. Raises NotReady naming those that do not, CannotStart."""
    waiting, deadline = dict(health), time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        while waiting:
            if supervisor.failed.done():
                supervisor.failed.result()
            if time.monotonic() > deadline:
                raise NotReady(f"not ready after {READY_SECONDS:.0f} s: {', '.join(waiting)}")
            for service, url in list(waiting.items()):
                with contextlib.suppress(httpx.HTTPError):
                    if (await client.get(url)).status_code == 200:
                        del waiting[service]
            await asyncio.sleep(0.05)


async def _stop(supervisor: Supervisor) -> None:
    """Services drain side by side; the bus goes last."""
    names = [program.name for program in supervisor.programs]
    await asyncio.gather(*(supervisor.stop(name) for name in names if name != "nats"))
    if "nats" in names:
        await supervisor.stop("nats")


def _description(stack: Stack) -> str:
    addresses = {name: value for name, value in vars(stack).items() if name != "supervisor"}
    return json.dumps(addresses | {"pid": os.getpid()}, indent=2)


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
