"""The frame of a service: settings, probes, signals."""

import asyncio
import os
import signal
import socket
import sys

import httpx
import pytest
from pydantic import SecretStr
from worksite.common import settings
from worksite.common.bus.consumer import Progress, backoff
from worksite.common.health import Health, ops_server
from worksite.common.llm.settings import ModelSettings
from worksite.common.processes import free_port
from worksite.common.settings import ServiceSettings, SettingsError

PROGRAM = """
from worksite.common import service
from worksite.common.settings import ServiceSettings

async def main(settings, running):
    running.ready.set()
    print("working", flush=True)
    await running.stop.wait()

service.run("builder", ServiceSettings, main)
"""


def start(**environment):
    return asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, env=os.environ | environment,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.asyncio
async def test_a_service_gets_ready_and_stops_cleanly_on_sigterm(bus, nats_server):
    port = free_port()
    process = await start(NATS_URL=nats_server.url, OPS_PORT=str(port))
    assert await asyncio.wait_for(process.stdout.readline(), 20) == b"working\n"
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
        assert (await client.get(f"http://127.0.0.1:{port}/healthz")).status_code == 200
        metrics = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        assert all(f'worksite_probe_failing{{probe="{name}"}} 0.0' in metrics for name in ("pulse", "bus"))
        assert "worksite_messages" in (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


STARTER = """
import asyncio
from worksite.common import service
from worksite.common.settings import ServiceSettings

async def main(settings, running):
    child = await asyncio.create_subprocess_exec("true", stdin=asyncio.subprocess.PIPE)
    await child.wait()
    await child.communicate(b"unread")
    print("unharmed", flush=True)

service.run("builder", ServiceSettings, main, starts_processes=True)
"""


@pytest.mark.asyncio
async def test_a_service_that_starts_processes_survives_one_that_ends_before_it_reads(bus, nats_server):
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STARTER, env=os.environ | {"NATS_URL": nats_server.url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    told, _ = await asyncio.wait_for(process.communicate(), 30)
    assert told == b"unharmed\n"


@pytest.mark.asyncio
async def test_a_service_waits_for_nats_and_says_so_then_stops_when_told(tmp_path):
    process = await start(NATS_URL=f"nats://127.0.0.1:{free_port()}")
    async with asyncio.timeout(20):
        while b"does not answer" not in await process.stderr.readline():
            assert process.returncode is None
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 10) == 0


@pytest.mark.asyncio
async def test_a_wrong_setting_ends_the_start_with_its_name(tmp_path):
    process = await start(WORKER_CONCURRENCY="many")
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"WORKER_CONCURRENCY" in errors


@pytest.mark.asyncio
async def test_a_taken_port_ends_the_start_with_its_number(bus, nats_server):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = await start(NATS_URL=nats_server.url, OPS_PORT=str(port))
        _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 2
    assert f"port {port}".encode() in errors


def test_a_secret_is_read_from_a_file_and_not_shown(tmp_path, monkeypatch):
    (tmp_path / "nats_password").write_text("hush")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    loaded = settings.load(ServiceSettings)
    assert loaded.nats_password == SecretStr("hush")
    assert "hush" not in repr(loaded)


def test_an_empty_variable_means_that_the_setting_is_not_given(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "")
    monkeypatch.setenv("WORKER_CONCURRENCY", "")
    loaded = settings.load(ServiceSettings)
    assert (loaded.otel_exporter_otlp_endpoint, loaded.worker_concurrency) == (None, 2)


def test_an_empty_variable_means_so_for_the_settings_of_models_too(monkeypatch):
    class Both(ServiceSettings, ModelSettings):
        pass

    monkeypatch.setenv("ANTHROPIC_BASE_URL", "")
    assert settings.load(Both).anthropic_base_url is None


@pytest.mark.parametrize("content", ["", "\n"])
def test_an_empty_file_means_that_there_is_no_such_secret(tmp_path, monkeypatch, content):
    (tmp_path / "nats_password").write_text(content)
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    assert settings.load(ServiceSettings).nats_password is None


def test_a_secrets_directory_that_is_not_there_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path / "nope"))
    with pytest.raises(SettingsError, match="SECRETS_DIR"):
        settings.load(ServiceSettings)


def test_a_wrong_value_is_not_echoed(monkeypatch):
    monkeypatch.setenv("LOG_LEVEL", "s3cret-by-mistake")
    with pytest.raises(SettingsError) as caught:
        settings.load(ServiceSettings)
    assert "LOG_LEVEL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.asyncio
async def test_probes_say_what_is_wrong():
    health = Health()
    health.ready["policy"] = lambda: "not loaded"
    async with ops_server(health, "127.0.0.1", 0) as port:
        async with httpx.AsyncClient(trust_env=False) as client:
            alive = await client.get(f"http://127.0.0.1:{port}/healthz")
            ready = await client.get(f"http://127.0.0.1:{port}/readyz")
    assert alive.status_code == 200
    assert (ready.status_code, ready.json()["wrong"]) == (503, {"policy": "not loaded"})


def test_a_consumer_that_stopped_turning_is_stalled():
    progress = Progress()
    assert not progress.stalled()
    progress.turned()
    assert not progress.stalled()
    assert progress.stalled(limit_seconds=-1)


def test_back_off_grows_and_is_bounded():
    assert 0.3 < backoff(1) < 0.7
    assert backoff(4) > 2
    assert backoff(500) <= 75
