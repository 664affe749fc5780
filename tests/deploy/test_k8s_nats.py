"""The configuration of NATS that the manifests mount does what they mean it to do, by the real server."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import time

import nats
import pytest
from kustomized import app, built, workloads
from nats_servers import READY_SECONDS, Server, provisioned, running, who
from new_secrets_of import made_secrets
from pydantic import SecretStr
from worksite.common.bus import Bus, BusSettings
from worksite.common.errors import Permanent, PermissionDenied
from worksite.common.processes import free_port, nats_server
from worksite.common.subjects import SERVICES, STORES


@pytest.mark.parametrize("combination", ["dev", "prod"])
@pytest.mark.asyncio
async def test_streams_are_made_and_every_service_is_let_in_and_held_to_its_rights(combination, tmp_path):
    with running(combination, tmp_path) as servers:
        await provisioned(combination, servers)
        for number, service in enumerate(SERVICES):
            bus = await Bus.connect(who(service, servers[number % len(servers)].url))
            try:
                with pytest.raises((PermissionDenied, Permanent)):
                    await bus.request_raw("$JS.API.STREAM.CREATE.OTHER", b"{}")
            finally:
                await bus.close()
        stored = await stored_by(servers)
        assert stored.keys() == set(STORES)
        assert set(stored.values()) == {len(servers)}


async def stored_by(servers: list[Server]) -> dict[str, int]:
    """Copies of each stream."""
    bus = await Bus.connect(who("provision", servers[0].url))
    try:
        return {info.config.name: info.config.num_replicas for info in await bus.jetstream.streams_info()}
    finally:
        await bus.close()


@pytest.mark.asyncio
async def test_a_wrong_password_is_refused(tmp_path):
    with running("dev", tmp_path) as (server,):
        with pytest.raises(PermissionDenied):
            await Bus.connect(BusSettings(server.url, "gateway", "gateway", SecretStr("rag")))


def test_a_server_without_the_password_of_its_cluster_is_no_part_of_it(tmp_path):
    routes = {f"nats-{n}": free_port() for n in range(3)}
    server = Server("prod", tmp_path, 0, routes)
    try:
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", routes["nats-0"]), 5) as route:
                route.settimeout(READY_SECONDS)
                route.sendall(b'CONNECT {"verbose":false,"user":"route","pass":"guessed"}\r\nPING\r\n')
                said = b""
                while chunk := route.recv(4096):
                    said += chunk
                break
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        server.kill()
    assert b"Authorization Violation" in said


@pytest.mark.asyncio
async def test_a_server_that_is_told_to_end_gives_its_clients_time_to_go(tmp_path):
    """The preStop's command, and then the signal that Kubernetes sends at once: the former is not cut short."""
    command = app(workloads(built("dev"))["nats"])["lifecycle"]["preStop"]["exec"]["command"]
    with running("dev", tmp_path) as (server,):
        here = [part.replace("/tmp/nats.pid", str(server.pid_file)) for part in command[1:]]
        client = await Bus.connect(who("gateway", server.url))
        try:
            await asyncio.to_thread(subprocess.run, [nats_server(), *here], check=True, capture_output=True)
            deadline = time.monotonic() + READY_SECONDS
            while "Entering lame duck mode" not in server.log.read_text():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(subprocess.TimeoutExpired):
                await asyncio.to_thread(server.process.wait, 1)
            assert await client.answers(READY_SECONDS)
        finally:
            await client.close()


@pytest.mark.parametrize("combination", ["dev", "prod"])
@pytest.mark.asyncio
async def test_the_monitor_asks_every_server_through_the_system_account(combination, tmp_path):
    password = made_secrets()["worksite-nats"]["monitor"]
    with running(combination, tmp_path) as servers:
        client = await nats.connect(servers[0].url, user="monitor", password=password)
        try:
            told = asyncio.Queue()
            inbox = client.new_inbox()
            await client.subscribe(inbox, cb=told.put)
            names = set()
            async with asyncio.timeout(READY_SECONDS):
                while len(names) < len(servers):  # routes may still form
                    await client.publish("$SYS.REQ.SERVER.PING.VARZ", reply=inbox)
                    with contextlib.suppress(TimeoutError):
                        while True:
                            answer = await asyncio.wait_for(told.get(), 1)
                            names.add(json.loads(answer.data)["server"]["name"])
        finally:
            await client.close()
    assert names == {f"nats-{number}" for number in range(len(servers))}
