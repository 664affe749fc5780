"""Stores that are nearly full: no new work is taken, and what is at work goes on."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from prometheus_client import REGISTRY
from worksite.common.bus import Bus, Envelope, usage
from worksite.common.errors import QueueFull
from worksite.common.messages import StepProgress
from worksite.common.subjects import event_subject
from worksite.gateway.gateway import Gateway
from worksite.gateway.room import FULL, WRITTEN_BY_TASKS

pytestmark = pytest.mark.asyncio
TASK = {"request": "an auth system"}


async def narrow(bus: Bus, stream: str, max_bytes: int) -> None:
    config = (await bus.jetstream.stream_info(stream)).config
    await bus.jetstream.update_stream(config, max_bytes=max_bytes)


async def say(bus: Bus, text: str = "x" * 500) -> None:
    """A line about some task, in EVENTS."""
    progress = StepProgress(task="0" * 32, tenant="acme", step="1-import", text=text)
    envelope = Envelope(progress.ce_type(), "builder", "acme", "0" * 32)
    await bus.publish(event_subject("acme", "0" * 32, "builder", "1-import", "progress"), progress, envelope)


async def fill(bus: Bus, stream: str, subject: str) -> None:
    """Up to where no new work is taken, and no further."""
    await narrow(bus, stream, 20_000)
    headers, n = Envelope("t", "s", "acme", "0" * 32).headers(), 0
    while (await usage(bus, stream)).ratio < FULL:
        await bus.publish_raw(subject.format(n := n + 1), b"x" * 1_000, dict(headers))


FILLINGS = {
    "EVENTS": "ws.v1.event.acme.t.builder.1-import.progress",
    "JOURNAL": "ws.v1.journal.acme.t.builder.3-build.{}",
    "KV_ledger": "$KV.ledger.builder.t.{}-build",
    "KV_tasks": "$KV.tasks.acme.{}",
    "OBJ_artifacts": "$O.artifacts.C.{}",
}


@pytest.mark.parametrize("stream", WRITTEN_BY_TASKS)
async def test_no_task_and_no_upload_is_taken_while_a_store_of_tasks_is_nearly_full(
    client: httpx.AsyncClient, gateway: Gateway, bus: Bus, stream: str
) -> None:
    await fill(bus, stream, FILLINGS[stream])
    await gateway.room.look()

    refused = await client.post("/v1/tasks", json=TASK)
    upload = await client.post("/v1/uploads", content=b"# v2 git bundle\n")

    for answer in (refused, upload):
        assert (answer.status_code, answer.json()["type"]) == (507, "urn:worksite:problem:storage-full")
        assert (stream in answer.json()["detail"], answer.headers["Retry-After"]) == (True, "60")
    assert (await bus.jetstream.stream_info("TASKS")).state.messages == 0
    assert (await client.get("/v1/tasks")).status_code == 200


async def test_tasks_are_taken_again_once_there_is_room(client: httpx.AsyncClient, gateway: Gateway, bus: Bus) -> None:
    await fill(bus, "EVENTS", FILLINGS["EVENTS"])
    await gateway.room.look()
    assert (await client.post("/v1/tasks", json=TASK)).status_code == 507

    await narrow(bus, "EVENTS", 40_000)
    await gateway.room.look()

    assert (await client.post("/v1/tasks", json=TASK)).status_code == 202


async def test_a_task_that_was_taken_is_shown_again_to_whoever_repeats_its_key(
    client: httpx.AsyncClient, gateway: Gateway, bus: Bus
) -> None:
    headers = {"Idempotency-Key": "once"}
    taken = await client.post("/v1/tasks", json=TASK, headers=headers)
    await fill(bus, "EVENTS", FILLINGS["EVENTS"])
    await gateway.room.look()

    again = await client.post("/v1/tasks", json=TASK, headers=headers)
    other = await client.post("/v1/tasks", json=TASK, headers={"Idempotency-Key": "another"})

    assert (again.status_code, again.json()["id"]) == (202, taken.json()["id"])
    assert other.status_code == 507


async def test_below_the_limit_tasks_at_work_still_write(gateway: Gateway, bus: Bus) -> None:
    await fill(bus, "EVENTS", FILLINGS["EVENTS"])
    await say(bus)
    await gateway.room.look()
    assert gateway.room._full == {"EVENTS"}


async def test_a_full_stream_of_events_refuses_what_comes_and_loses_nothing(bus: Bus) -> None:
    await narrow(bus, "EVENTS", 20_000)
    with pytest.raises(QueueFull):
        await asyncio.gather(*(say(bus) for _ in range(40)))
    assert (await bus.jetstream.stream_info("EVENTS")).state.first_seq == 1


async def test_how_full_every_store_is_is_a_metric(gateway: Gateway, bus: Bus) -> None:
    await fill(bus, "EVENTS", FILLINGS["EVENTS"])
    await gateway.room.look()

    ratio = REGISTRY.get_sample_value("worksite_stream_fill_ratio", {"stream": "EVENTS"})
    held = REGISTRY.get_sample_value("worksite_stream_bytes", {"stream": "EVENTS"})
    assert ratio is not None
    assert FULL <= ratio < 1
    assert held == (await bus.jetstream.stream_info("EVENTS")).state.bytes
    assert REGISTRY.get_sample_value("worksite_stream_bytes", {"stream": "OBJ_knowledge"}) == 0
