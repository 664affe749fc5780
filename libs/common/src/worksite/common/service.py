"""The frame every service runs in: telemetry, bus, health, signals, drain."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any, TypeVar

from worksite.common import telemetry
from worksite.common.bus import Bus, Service, announce
from worksite.common.errors import BusUnavailable, Permanent
from worksite.common.health import Health, ops_server
from worksite.common.pulse import Pulse
from worksite.common.secrets.errors import SecretsUnavailable
from worksite.common.secrets.rotation import Secrets, Watch
from worksite.common.secrets.source import Read, reader
from worksite.common.settings import ServiceSettings, SettingsError, load
from worksite.common.worker import Worker

log = logging.getLogger(__name__)
CANNOT_START = 2
"""Exit status: a person must change something first; a supervisor should not just try again."""
S = TypeVar("S", bound=ServiceSettings)
T = TypeVar("T")


@dataclass
class Running:
    """What a service's `main` gets to work with."""

    bus: Bus
    micro: Service
    health: Health
    stop: asyncio.Event
    ready: asyncio.Event
    secrets: Secrets = field(default_factory=Secrets)


Main = Callable[[S, Running], Awaitable[None]]
"""Runs until `running.stop` is set. Sets `running.ready` once it can work."""


def run(
    name: str,
    settings: type[S],
    main: Main[S],
    *,
    serves_health_itself: bool = False,
    starts_processes: bool = False,
) -> None:
    """Entry point of a service process; exits with 2 and one line when it cannot start.

    Runs on uvloop, but for a service that `starts_processes`: uvloop raises a RuntimeError where asyncio lets it pass
    that a process ended before it read its input.
    """
    was_ready = asyncio.Event()
    try:
        where = load(ServiceSettings)
        read = reader(settings, where, name)
        _loop(starts_processes)(_run(name, where, read, main, was_ready, serves_health_itself))
    except (SettingsError, Permanent, OSError) as error:
        if was_ready.is_set():  # it could start, so starting again may help
            raise
        print(f"{name}: {error}", file=sys.stderr, flush=True)
        sys.exit(CANNOT_START)


def _loop(starts_processes: bool) -> Callable[[Coroutine[Any, Any, None]], None]:
    if starts_processes:
        return asyncio.run
    import uvloop  # whoever does without it need not have it

    return uvloop.run


async def run_worker(settings: ServiceSettings, running: Running, worker: Worker) -> None:
    """The usual `main` of an agent: work until told to stop."""
    running.health.alive["consumer"] = lambda: "no fetch for a while" if worker.progress.stalled() else None
    running.ready.set()
    await worker.run(running.stop, settings.grace_seconds)


async def _run(
    name: str,
    where: ServiceSettings,
    read: Read[S],
    main: Main[S],
    ready: asyncio.Event,
    serves_health_itself: bool,
) -> None:
    gc.freeze()  # what the imports made is there to stay; a collection that looks through it keeps requests waiting
    telemetry.setup(name, where.log_level, where.otel_exporter_otlp_endpoint)
    stop = _stop_on_signals()
    settings = await _insistent(lambda: asyncio.to_thread(read), SecretsUnavailable, stop)
    if settings is None:
        return
    secrets = Secrets(settings)
    address = replace(settings.bus(name), password=lambda: secrets.latest(settings).nats_password)
    bus = await _insistent(lambda: Bus.connect(address), BusUnavailable, stop)
    if bus is None:
        return
    health = Health()
    micro = await announce(bus, name, version("worksite-common"))
    running = Running(bus, micro, health, stop, ready, secrets)
    pulse, watch = Pulse(bus), Watch(secrets, read, where.secrets_ttl_seconds)
    health.alive["pulse"], health.ready["bus"] = pulse.alive, pulse.ready
    health.ready["secrets"] = watch.ready
    health.ready["started"] = lambda: None if running.ready.is_set() else "starting"
    health.ready["draining"] = lambda: "draining" if stop.is_set() else None
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(bus.close)
        stack.push_async_callback(micro.stop)
        stack.callback(asyncio.create_task(pulse.run()).cancel)
        stack.callback(asyncio.create_task(watch.run(where.secrets_poll_seconds)).cancel)
        if not serves_health_itself:
            port = await stack.enter_async_context(ops_server(health, settings.bind_host, settings.operations_port))
            log.info("operations endpoint on port %d", port)
        await main(settings, running)
    telemetry.flush()
    log.info("stopped")


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def _insistent(attempt: Callable[[], Awaitable[T]], away: type[Exception], stop: asyncio.Event) -> T | None:
    """Keep trying while NATS or Vault is away; None when told to stop meanwhile."""
    failures = 0
    while not stop.is_set():
        try:
            return await attempt()
        except away as error:
            failures += 1
            log.warning("%s; trying again", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), min(5.0, 0.2 * 2**failures) * random.uniform(0.8, 1.2))
    return None
