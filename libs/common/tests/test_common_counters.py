"""Counters on a counter stream."""

from __future__ import annotations

import asyncio

import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, add, provision
from worksite.common.errors import BusUnavailable
from worksite.common.testing.fixtures import TEST_DISK_BYTES
from worksite.common.testing.nats import NatsServer

COUNTER = subjects.rate_subject("acme", "tenant-0", 12)


@pytest.mark.asyncio
async def test_whoever_adds_at_once_is_counted_once_each_and_told_the_total(bus: Bus) -> None:
    totals = await asyncio.gather(*(add(bus, COUNTER, 2) for _ in range(50)))

    assert sorted(totals) == list(range(2, 101, 2))
    assert await add(bus, COUNTER, 0) == 100
    assert (await bus.jetstream.stream_info("RATE")).state.messages == 1


@pytest.mark.asyncio
async def test_counters_can_be_added_to_after_a_restart_of_the_server(bus: Bus, nats_server: NatsServer) -> None:
    await add(bus, COUNTER, 5)
    nats_server.kill()
    nats_server.start()
    again = await Bus.connect(BusSettings(nats_server.url, "test"))

    assert await add(again, COUNTER, 1) >= 1
    await again.close()


@pytest.mark.asyncio
async def test_provisioning_once_more_leaves_counters_alone(bus: Bus) -> None:
    await add(bus, COUNTER, 2)
    await provision(bus, TEST_DISK_BYTES)
    assert await add(bus, COUNTER, 0) == 2


@pytest.mark.asyncio
async def test_a_counter_without_a_stream_is_an_outage(bus: Bus) -> None:
    with pytest.raises(BusUnavailable, match=r"ws\.v1\.nothing"):
        await add(bus, "ws.v1.nothing", 1)


@pytest.mark.asyncio
async def test_a_subject_that_is_no_counter_is_an_outage_too_and_says_why(bus: Bus) -> None:
    with pytest.raises(BusUnavailable, match="counter"):
        await add(bus, subjects.audit_subject("acme", "denied"), 1)
