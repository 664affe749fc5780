"""Start the whole system on this machine: provision, nats-server, six services, ready or a clear reason why not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import SecretStr
from worksite.cli.stack import disk, nats_config
from worksite.cli.stack.errors import NotReady, StateInUse, explained
from worksite.cli.stack.ports import chosen_port, kept_port
from worksite.cli.stack.state import PROVISIONER, State, write_private
from worksite.cli.stack.supervisor import CannotStart, Program, Supervisor
from worksite.cli.workplace import sweep
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.errors import BusUnavailable, Permanent
from worksite.common.llm.settings import ModelSettings
from worksite.common.processes import nats_server
from worksite.common.subjects import SERVICES

READY_SECONDS = 120.0
ENDING_SECONDS = 20.0
"""How long the programs of a stack that stops or was killed may take to end."""
_INHERITED = (
    "PATH", "LANG", "TMPDIR", "LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT", "GRACE_SECONDS", "BIND_HOST",
    "WORKER_CONCURRENCY",
)  # fmt: skip
_MODELS = tuple(name.upper() for name in ModelSettings.model_fields)
"""The provider's key among them: for the services that call models, and no others."""
_OPTIONS: dict[str, tuple[str, ...]] = {
    "gateway": (
        "MAX_BODY_BYTES", "MAX_UPLOAD_BYTES", "MAX_UPLOAD_BYTES_PER_TENANT", "MAX_CONCURRENT_UPLOADS",
        "MAX_KNOWLEDGE_BYTES",
        "RATE_PER_PRINCIPAL", "BURST_PER_PRINCIPAL", "RATE_PER_TENANT", "BURST_PER_TENANT",
        "RATE_PER_ADDRESS", "BURST_PER_ADDRESS", "RATE_EXCHANGE_SECONDS",
        "BUS_PATIENCE_SECONDS", "DRAIN_SECONDS",
        "JWT_ISSUER", "JWT_AUDIENCE", "JWT_JWKS_URL", "JWT_SECRET_KEY", "MCP_ALLOWED_ORIGINS",
    ),
    "admin": (
        *_MODELS,
        "APPROVAL_DAYS", "SWEEP_SECONDS", "COLLECT_SECONDS", "ROUTE_EMBED_SECONDS", "ROUTE_MODEL_SECONDS",
    ),
    "architect": _MODELS,
    "builder": (
        *_MODELS,
        "MAX_REPOSITORY_BYTES", "MAX_UPLOAD_BYTES", "MAX_LEFTOVER_BYTES",
        "CLONE_TIMEOUT_SECONDS", "ALLOW_FILE_URLS", "ALLOW_FILE_PUSHES", "ALLOW_PRIVATE_HOSTS", "GIT_CREDENTIALS",
    ),
    "validator": (
        *_MODELS,
        "SANDBOX", "ALLOW_INDEX", "MAX_ENVIRONMENT_CACHE_BYTES", "VALIDATOR_REVIEW", "VALIDATOR_REVIEW_SECONDS",
    ),
    "rag": (
        "KNOWLEDGE_DIRS", "RAG_BACKEND", "RAG_EMBEDDER_PATH", "RAG_EMBEDDER_THREADS", "RAG_ALPHA", "RAG_COLLECTION",
        "RAG_RERANKER", "RAG_RERANK_WEIGHT", "RAG_RERANK_SECONDS", "RAG_RERANK_TOKENS", "RAG_TASK_RESULTS",
        "MAX_EMBEDDING_CACHE_BYTES",
        "QDRANT_HOST", "QDRANT_PORT", "QDRANT_API_KEY",
    ),
}  # fmt: skip
"""What of our environment each service gets besides its wiring: nobody is handed a variable that is not its own."""


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

    Raises NotReady, StateInUse, StateUnusable.
    """
    if shutil.which("git") is None:
        raise NotReady("git is not installed or not on PATH: install it (Debian: apt install git)")
    descriptor = await _locked(state)
    full = disk.FullDisk(log, lambda: disk.free_bytes(state.nats), lambda: supervisor.restart("nats"))
    # Its programs hold the lock too: while one of them still ends, no other stack may touch their files.
    supervisor = Supervisor(full.saw, inherited=(descriptor,))
    kept = contextlib.ExitStack()  # ports, also while whoever listens there is being started again
    try:
        stack = await _started(state, project_root, ports, supervisor, kept)
        async with full.watched():
            yield stack
    except CannotStart as error:
        raise NotReady(str(error)) from error
    finally:
        state.description.unlink(missing_ok=True)
        await _stop(supervisor)
        kept.close()
        os.close(descriptor)


async def _locked(state: State) -> int:
    """Waits while somebody holds the lock who is no running stack: one that starts, stops or was killed, or a command
    that looks whether a stack runs. Raises StateInUse, StateUnusable."""
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            return state.lock()
        except StateInUse:
            if (state.described() and not state.orphaned()) or time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.1)


async def _started(
    state: State, project_root: Path, ports: Ports, supervisor: Supervisor, kept: contextlib.ExitStack
) -> Stack:
    """Whatever stands in the way becomes NotReady, with words for it."""
    try:
        with explained(state.root):
            state.description.unlink(missing_ok=True)  # of a stack that was killed
            disk.check(state.root, disk.free_bytes(state.root))
            state.prepare()
            sweep(state.root)
            return await _start(state, project_root, ports, supervisor, kept)
    except (BusUnavailable, Permanent) as error:
        raise NotReady(f"the message bus cannot be set up: {error}") from error


async def _start(
    state: State, project_root: Path, ports: Ports, supervisor: Supervisor, kept: contextlib.ExitStack
) -> Stack:
    gateway = chosen_port("DASHBOARD_PORT", ports.gateway, kept)
    admin = chosen_port("ADMIN_PORT", ports.admin, kept)
    if gateway == admin:
        raise NotReady(f"DASHBOARD_PORT and ADMIN_PORT are both {admin}: set one of them to another port")
    nats_port, monitor_port = kept_port(kept), kept_port(kept)
    nats_url = f"nats://127.0.0.1:{nats_port}"
    disk = state.disk_bytes()
    write_private(state.nats / "nats.conf", _nats_conf(state, nats_port, monitor_port, disk))
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    supervisor.start(Program("nats", [nats_server(), "-c", str(state.nats / "nats.conf")], inherited, 10))
    await _provisioned(state, nats_url, disk, supervisor)
    health: dict[str, str] = {}
    for service in SERVICES:
        port = {"gateway": gateway, "admin": admin}.get(service) or kept_port(kept)
        environment = service_environment(service, state, project_root, nats_url, port, os.environ)
        argv = [sys.executable, "-m", f"worksite.{service}.main"]
        supervisor.start(Program(service, argv, environment, _grace_seconds(), state.scratch(service)))
        health[service] = f"http://127.0.0.1:{port}/readyz"
    await _ready(health, supervisor)
    stack = Stack(
        gateway_url=f"http://127.0.0.1:{gateway}",
        admin_url=f"http://127.0.0.1:{admin}",
        nats_url=nats_url,
        monitor_url=f"http://127.0.0.1:{monitor_port}",
        supervisor=supervisor,
    )
    write_private(state.description, _description(stack))
    return stack


def _nats_conf(state: State, port: int, monitor_port: int, disk: int) -> str:
    passwords = {user: state.secret(user, "nats_password") for user in (*SERVICES, PROVISIONER, nats_config.MONITOR)}
    return nats_config.render(
        host="127.0.0.1",
        port=port,
        monitor=f"127.0.0.1:{monitor_port}",
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


def service_environment(
    service: str, state: State, root: Path, nats_url: str, port: int, environ: Mapping[str, str]
) -> dict[str, str]:
    """The settings of one service, out of ours in `environ`. Each gets what it reads, and only its own secrets."""
    wiring = {
        "NATS_URL": nats_url,
        "NATS_USER": service,
        "SECRETS_DIR": str(state.secrets(service)),
        "STATE_DIR": str(state.of(service)),
        "HOME": str(state.of(service)),  # libraries keep caches in it (ONNX Runtime does); they go with the state
        "OPS_PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    blueprints = {"BLUEPRINTS_DIR": str(root / "blueprints")}
    prompts = {"PROMPTS_DIR": str(root / "prompts")}
    own: dict[str, dict[str, str]] = {
        # Nothing is balanced here, and whoever presses Ctrl-C waits.
        "gateway": {"DASHBOARD_PORT": str(port), "POLICY_DIR": str(root / "policies"), "DRAIN_SECONDS": "0"},
        "admin": {"ADMIN_PORT": str(port)},
        "architect": blueprints | prompts,
        "builder": blueprints | prompts,
        "validator": prompts | {"WHEELHOUSE_DIR": str(state.wheelhouse)},
        "rag": blueprints | {"KNOWLEDGE_DIRS": str(root / "docs")},
    }
    # Copies of clients' repositories are among the temporary files, and what libraries leave (ONNX Runtime: .ses). The
    # sandbox user may not reach the state, and the probe's sockets need short addresses: the validator keeps to ours.
    kept = {} if service == "validator" else {"TMPDIR": str(state.scratch(service))}
    given = {name: environ[name] for name in (*_INHERITED, *_options(service, environ)) if name in environ}
    return wiring | own[service] | given | kept


def _options(service: str, environ: Mapping[str, str]) -> tuple[str, ...]:
    """A candidate that nothing confines could read the provider's key out of the validator's environment."""
    unconfined = service == "validator" and environ.get("SANDBOX") == "none"
    return tuple(name for name in _OPTIONS[service] if not (unconfined and name in _MODELS))


def _grace_seconds() -> float:
    """A little more than the services take for themselves."""
    try:
        return max(15.0, float(os.environ.get("GRACE_SECONDS", "10")) + 5)
    except ValueError:
        return 15.0  # the services refuse the value themselves, by name


async def _ready(health: dict[str, str], supervisor: Supervisor) -> None:
    """Until every service says so. Raises NotReady naming those that do not, CannotStart."""
    waiting, deadline = dict(health), time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        while waiting:
            if supervisor.failed.done():
                supervisor.failed.result()
            if time.monotonic() > deadline:
                raise NotReady(f"not ready after {READY_SECONDS:.0f} s: {supervisor.account(waiting)}")
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
