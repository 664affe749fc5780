"""Provisioning over what release 0.1.0 provisioned, on a server whose space those streams reserve to the last byte."""

import json
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, BusSettings, KeyValue, add, provision
from worksite.common.errors import Permanent
from worksite.common.testing.nats import start_nats

RELEASED = json.loads((Path(__file__).parent / "released" / "streams-0.1.0.json").read_text())
"""As nats-server 2.15 showed them, provisioned with DISK_BYTES."""
DISK_BYTES = 10_000_000
FILLED = {"AUDIT": "ws.v1.audit.acme.denied", "DEAD": "ws.v1.dead.builder.acme", "EVENTS": "ws.v1.event.acme.t.a.b.c"}


@pytest_asyncio.fixture
async def installed(tmp_path):
    """What `worksite up` of the release left behind."""
    with start_nats(tmp_path, f"jetstream: {{max_file_store: {DISK_BYTES}}}") as server:
        bus = await Bus.connect(BusSettings(server.url, "test"))
        for config in RELEASED:
            answer = await bus.request_raw(f"$JS.API.STREAM.CREATE.{config['name']}", json.dumps(config).encode())
            assert "error" not in json.loads(answer.data)
        yield bus
        await bus.close()


async def config_of(bus, stream):
    return (await bus.jetstream.stream_info(stream)).config


async def held_by(bus, stream):
    state = (await bus.jetstream.stream_info(stream)).state
    return state.first_seq, state.last_seq, state.messages


@pytest.mark.asyncio
async def test_an_installation_of_the_release_before_is_brought_up_to_date(installed):
    await provision(installed, DISK_BYTES)
    await provision(installed, DISK_BYTES)

    for store in subjects.STORES:
        assert await config_of(installed, store)
    assert (await config_of(installed, "EVENTS")).discard == (await config_of(installed, "DEAD")).discard == "new"
    assert not (await config_of(installed, "KV_tasks")).allow_rollup_hdrs
    assert (await config_of(installed, "OBJ_artifacts")).max_age == 0
    assert await add(installed, subjects.rate_subject("acme", "k", 1), 2) == 2


@pytest.mark.asyncio
async def test_full_stores_of_the_release_before_lose_nothing(installed):
    for subject in FILLED.values():
        for _ in range(60):  # until each drops its oldest
            await installed.publish_raw(subject, b"x" * 60_000, {"ce-source": "test"})
    ref = await Artifacts(installed).put(b"data" * 100_000, "text/plain")
    revision = await KeyValue(installed, subjects.TASKS).create("acme.a", b"1")
    before = {stream: await held_by(installed, stream) for stream in FILLED}

    await provision(installed, DISK_BYTES)

    assert {stream: await held_by(installed, stream) for stream in FILLED} == before
    assert await Artifacts(installed).get(ref) == b"data" * 100_000
    found = await KeyValue(installed, subjects.TASKS).get("acme.a")
    assert found
    assert (found.value, found.revision) == (b"1", revision)


@pytest.mark.asyncio
async def test_nothing_but_a_counter_is_ever_made_anew(installed):
    await installed.jetstream.delete_stream("EVENTS")
    unlike = next(config for config in RELEASED if config["name"] == "EVENTS") | {"persist_mode": "async"}
    await installed.request_raw("$JS.API.STREAM.CREATE.EVENTS", json.dumps(unlike).encode())
    await installed.publish_raw(FILLED["EVENTS"], b"x", {"ce-source": "test"})

    with pytest.raises(Permanent, match="persist"):
        await provision(installed, DISK_BYTES)

    assert (await installed.jetstream.stream_info("EVENTS")).state.messages == 1
