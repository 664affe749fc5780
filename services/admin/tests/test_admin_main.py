"""Admin as a process: its settings, its health, its end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.error
import urllib.request
from typing import Any

import pytest
from worksite.admin.main import STREAMS, run_admin
from worksite.admin.settings import AdminSettings
from worksite.common import settings
from worksite.common.bus import Bus, announce
from worksite.common.health import Health
from worksite.common.service import Running
from worksite.common.settings import SettingsError
from worksite.common.testing.nats import free_port


def test_the_operations_port_is_admins_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PORT", "8123")

    assert settings.load(AdminSettings).operations_port == 8123


def test_a_port_that_is_none_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADMIN_PORT", "eighty")

    with pytest.raises(SettingsError, match="ADMIN_PORT"):
        settings.load(AdminSettings)


@pytest.mark.asyncio
async def test_admin_consumes_its_streams_until_it_is_stopped(scene: Any) -> None:
    running = Running(
        scene.bus, await announce(scene.bus, "admin", "0.1.0"), Health(), asyncio.Event(), asyncio.Event()
    )
    admin = asyncio.create_task(run_admin(AdminSettings(admin_port=0, grace_seconds=1), running))
    await asyncio.wait_for(running.ready.wait(), 30)
    scene.start_agents()

    state = await scene.ended(await scene.submit(scene.samples.submission()))

    assert state.status == "completed"
    assert {name: probe() for name, probe in running.health.alive.items()} == {
        "consumer TASKS": None,
        "consumer EVENTS": None,
        "consumer TIMERS": None,
    }
    running.stop.set()
    await asyncio.wait_for(admin, 30)
    await running.micro.stop()


@pytest.mark.asyncio
async def test_a_killed_process_is_replaced_by_another_that_finishes_its_tasks(scene: Any, nats_server: Any) -> None:
    await redeliver_after(scene.bus, seconds=1)
    scene.start_agents()
    port = free_port()
    first = await start(nats_server.url, port)
    await ready(port)
    tasks = [await scene.submit(scene.samples.submission()) for _ in range(20)]
    await scene.until(tasks[0], lambda state: state.step == "2-design" or state.steps_commanded > 2)
    first.kill()
    await first.wait()

    second = await start(nats_server.url, port)
    await ready(port)
    states = await asyncio.gather(*(scene.ended(task) for task in tasks))
    second.send_signal(signal.SIGTERM)

    assert await asyncio.wait_for(second.wait(), 30) == 0
    assert {state.reason for state in states} == {"Passed in round 1."}
    assert set(scene.executed.values()) == {1}


async def redeliver_after(bus: Bus, seconds: float) -> None:
    """Shortens the wait for what a dead process held; the order of things stays as it is."""
    for stream in STREAMS:
        config = (await bus.jetstream.consumer_info(stream, "admin")).config
        config.ack_wait = seconds
        await bus.jetstream.add_consumer(stream, config)


async def start(url: str, port: int) -> asyncio.subprocess.Process:
    environment = {**os.environ, "NATS_URL": url, "ADMIN_PORT": str(port), "LOG_LEVEL": "WARNING"}
    return await asyncio.create_subprocess_exec(sys.executable, "-m", "worksite.admin.main", env=environment)


async def ready(port: int) -> None:
    def answers() -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as reply:
                return reply.status == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    async with asyncio.timeout(30):
        while not await asyncio.to_thread(answers):
            await asyncio.sleep(0.02)
