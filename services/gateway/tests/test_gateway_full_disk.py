"""The disk under NATS is full: nothing is accepted, nothing accepted is lost, and with room all goes on."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.health import Health
from worksite.common.messages import SubmitTask
from worksite.common.testing import start_nats
from worksite.gateway.app import create_app
from worksite.gateway.gateway import Gateway
from worksite.gateway.main import built
from worksite.gateway.settings import GatewaySettings

CONFIG = "jetstream: {max_file_store: 2147483648, sync_interval: always}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """48 MiB, of which nats-server takes about half to begin with."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(disk)]
    if (done := subprocess.run(mount, capture_output=True, text=True)).returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    return ballast


async def queued(bus: Bus) -> list[str]:
    found = await bus.read("TASKS", subjects.task_subject("acme"), 0)
    return [SubmitTask.consume(stored.data).task for stored in found]


def client_of(parts: Gateway, settings: GatewaySettings, token: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app(parts, Health(), settings))
    return httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers={"Authorization": f"Bearer {token}"}
    )


@pytest.mark.asyncio
async def test_a_full_disk_refuses_new_tasks_loses_none_and_goes_on_once_there_is_room(
    small_disk: Path, settings: GatewaySettings, mint: Callable[..., str], wait_until: Callable[..., None]
) -> None:
    with start_nats(small_disk, CONFIG) as server:
        bus = await Bus.connect(BusSettings(server.url, "test", timeout_seconds=1))
        await provision(bus, 1 << 30)
        async with built(settings, bus, asyncio.Event()) as parts, client_of(parts, settings, mint()) as client:

            async def submit(number: int) -> httpx.Response:
                key = {"Idempotency-Key": f"k{number}"}
                return await client.post("/v1/tasks", json={"request": f"{number} " + "x" * 4000}, headers=key)

            accepted = [(await submit(number)).json()["id"] for number in range(3)]
            ballast = fill(small_disk)
            refused = [await submit(number) for number in range(3, 6)]
            ballast.unlink()
            server.kill()  # what `worksite up` does once there is room (worksite.cli.stack.disk)
            await wait_until(lambda: not bus.connected)
            server.start()
            await wait_until(lambda: bus.connected)
            still = await queued(bus)
            again = [await submit(number) for number in range(3, 6)]
            all_of_them = await queued(bus)
        await bus.close()

    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers["content-type"] for answer in refused} == {"application/problem+json"}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
    assert still == accepted
    assert [answer.status_code for answer in again] == [202] * 3
    assert all_of_them == accepted + [answer.json()["id"] for answer in again]
