"""The bus on three servers with three replicas of everything."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, KeyValue, add, provision
from worksite.common.errors import BusUnavailable, Permanent
from worksite.common.ids import new_id
from worksite.common.messages import TimerDue
from worksite.common.testing import NatsCluster, NatsServer, start_cluster

pytestmark = [pytest.mark.proof, pytest.mark.asyncio]

DISK_BYTES = 1 << 30
EVERYTHING = [
    *(spec.name for spec in subjects.STREAMS),
    *(f"KV_{spec.name}" for spec in subjects.BUCKETS),
    *(f"OBJ_{spec.name}" for spec in subjects.OBJECT_STORES),
]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[NatsCluster]:
    with start_cluster(tmp_path) as running:
        yield running


@pytest_asyncio.fixture
async def bus(cluster: NatsCluster) -> AsyncIterator[Bus]:
    connection = await Bus.connect(BusSettings(cluster.url, "test"))
    await patiently_provisioned(connection)
    yield connection
    await connection.close()


async def patiently_provisioned(bus: Bus) -> None:
    """A busy machine may be late with an answer: an outage, after which it is done again, as an operator would."""
    for _ in range(5):
        with contextlib.suppress(BusUnavailable):
            await provision(bus, DISK_BYTES, replicas=3)
            return
    await provision(bus, DISK_BYTES, replicas=3)


async def replicas(bus: Bus) -> dict[str, int]:
    return {name: (await bus.jetstream.stream_info(name)).config.num_replicas or 0 for name in EVERYTHING}


async def patiently_adding(bus: Bus, subject: str, units: int) -> int:
    """While a leader is elected there is no answer."""
    while True:
        try:
            return await add(bus, subject, units)
        except BusUnavailable:
            await asyncio.sleep(0.1)


def led_by(cluster: NatsCluster, stream: str) -> NatsServer:
    leader = cluster.leader(stream)
    assert leader
    return leader


async def test_every_stream_bucket_and_store_has_the_replicas_that_were_asked_for(cluster, bus):
    assert await replicas(bus) == dict.fromkeys(EVERYTHING, 3)


async def test_what_was_made_with_one_replica_gets_three_and_keeps_what_it_holds(cluster):
    bus = await Bus.connect(BusSettings(cluster.url, "test"))
    await provision(bus, DISK_BYTES)
    revision = await KeyValue(bus, subjects.UPLOADS).create("acme.a", b"1")
    assert await add(bus, subjects.rate_subject("acme", "k", 1), 2) == 2

    await provision(bus, DISK_BYTES, replicas=3)

    assert await replicas(bus) == dict.fromkeys(EVERYTHING, 3)
    found = await KeyValue(bus, subjects.UPLOADS).get("acme.a")
    assert found
    assert (found.value, found.revision) == (b"1", revision)
    await bus.close()


async def test_provisioning_once_more_leaves_counters_alone(bus):
    counter = subjects.rate_subject("acme", "k", 1)
    await add(bus, counter, 2)
    await provision(bus, DISK_BYTES, replicas=3)
    assert await add(bus, counter, 0) == 2


async def test_a_cluster_without_a_majority_is_an_outage_for_whoever_provisions(cluster):
    bus = await Bus.connect(BusSettings(cluster.nodes[0].url, "test", timeout_seconds=1))
    for node in cluster.nodes[1:]:
        node.kill()
    with pytest.raises(BusUnavailable):
        await provision(bus, DISK_BYTES, replicas=3)
    await bus.close()


async def test_a_timer_runs_out_although_the_leader_of_its_stream_was_killed(cluster, bus):
    task = new_id()
    at = datetime.now(UTC) + timedelta(seconds=1)
    due = TimerDue(task=task, tenant="acme", purpose="deadline", at=at)
    target = subjects.timer_subject("due", task, "deadline")
    envelope = Envelope(due.ce_type(), "admin", "acme", task)
    await bus.schedule(subjects.timer_subject("set", task, "deadline"), target, at, due, envelope)

    led_by(cluster, "TIMERS").kill()

    async with asyncio.timeout(40):
        while (stored := await _patiently_newest(bus, "TIMERS", target)) is None:
            await asyncio.sleep(0.1)
    assert TimerDue.consume(stored.data) == due


async def _patiently_newest(bus: Bus, stream: str, subject: str):
    try:
        return await bus.newest(stream, subject)
    except BusUnavailable:
        return None


async def test_counters_count_each_unit_once_with_three_replicas_and_go_on_after_their_leader_is_killed(cluster, bus):
    counter = subjects.rate_subject("acme", "tenant-0", 12)
    totals = await asyncio.gather(*(add(bus, counter, 2) for _ in range(50)))
    assert sorted(totals) == list(range(2, 101, 2))

    led_by(cluster, "RATE").kill()

    async with asyncio.timeout(40):
        assert await patiently_adding(bus, counter, 0) == 100


async def test_a_service_finds_a_server_of_the_cluster_that_is_up(cluster):
    cluster.nodes[0].kill()
    for _ in range(3):  # the client begins with any of them
        bus = await Bus.connect(BusSettings(cluster.url, "test"))
        assert bus.connected
        await bus.close()


async def test_a_service_leaves_a_server_that_stands_still_for_another_one_of_the_cluster(cluster, bus):
    (mine,) = [node for node in cluster.nodes if str(node.port) in str(bus.client.connected_url)]
    mine.stand_still()

    async with asyncio.timeout(40):
        while True:
            try:
                await KeyValue(bus, subjects.UPLOADS).update("acme.b", b"2", 0)
                break
            except BusUnavailable:
                continue
    assert str(mine.port) not in str(bus.client.connected_url)
    mine.go_on()


async def test_the_leader_tells_the_newest_message_with_its_headers_and_that_there_is_none(cluster, bus):
    subject = subjects.audit_subject("acme", "denied")
    assert await bus.newest("AUDIT", subject) is None

    headers = Envelope("worksite.test", "gateway", "acme", "a:b").headers()
    sequence = await bus.publish_raw(subject, b"\x00body", dict(headers))

    newest = await bus.newest("AUDIT", subject)
    assert newest
    assert (newest.subject, newest.sequence, newest.data) == (subject, sequence, b"\x00body")
    assert newest.headers.items() >= headers.items()
    assert abs((datetime.now(UTC) - newest.time).total_seconds()) < 60


async def test_a_stream_that_is_not_there_has_no_newest_message_but_an_outage(bus):
    with pytest.raises(BusUnavailable, match="NOPE"):
        await bus.newest("NOPE", "x")


async def test_each_address_of_a_list_must_be_one():
    with pytest.raises(Permanent, match="'http://b'"):
        await Bus.connect(BusSettings("nats://a:4222, http://b", "test"))
