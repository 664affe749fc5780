"""Replicas on one bus hold a limit together; alone, each holds it by itself."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import pytest_asyncio
from starlette.requests import Request
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings
from worksite.common.testing.nats import NatsServer
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.rates import Limit
from worksite.gateway.fleet import Fleet
from worksite.gateway.problems import ProblemError
from worksite.gateway.rate_limits import Limits, RateLimiter

RATE, BURST = 100, 50
EXCHANGE_EVERY = 20
"""Ticks: 0.2 s, the default setting."""
TICK_SECONDS = 0.01
MINUTE = 6000
"""Ticks."""
NOON = 1_795_348_800.0
ALL_YOU_WANT = Limit("principal", 1e6, 10**6)


class World:
    """Time stands still between ticks."""

    now = 1000.0


class Replica:
    """One gateway's limiter; its clock of the day may be wrong."""

    def __init__(self, bus: Bus, world: World, skew_seconds: float = 0) -> None:
        tenant, address = Limit("tenant", RATE, BURST), Limit("address", RATE, BURST)
        self.limiter = RateLimiter(Limits(ALL_YOU_WANT, tenant, address), lambda: world.now)
        self.fleet = Fleet(bus, self.limiter.meters, lambda: world.now, lambda: NOON + world.now + skew_seconds)
        self.admitted = 0

    def ask(self, times: int, subject: str = "ada") -> None:
        """As many requests of one principal of the tenant acme."""
        principal = Principal(
            subject=subject, tenant="acme", roles=frozenset({"developer"}), token_id="t", expires_at=0
        )
        for _ in range(times):
            try:
                self.limiter.admit(Request({"type": "http"}), principal, "listTasks")
            except ProblemError:
                continue
            self.admitted += 1


async def minute(replicas: Sequence[Replica], world: World, asking: Sequence[int], ticks: int = MINUTE) -> int:
    """Everybody asks `asking` times a tick; replicas exchange at different ticks. Returns what all let through."""
    before = sum(replica.admitted for replica in replicas)
    for tick in range(ticks):
        for index, (replica, times) in enumerate(zip(replicas, asking, strict=True)):
            replica.ask(times)
            if tick % EXCHANGE_EVERY == index * 7:
                await replica.fleet.exchange()
        world.now += TICK_SECONDS
    return sum(replica.admitted for replica in replicas) - before


def within(share: float, admitted: int, seconds: float = 60) -> bool:
    return abs(admitted - RATE * seconds) <= share * RATE * seconds


@pytest.mark.asyncio
@pytest.mark.parametrize("asking", [(2, 2, 2), (3, 1, 0)], ids=["evenly", "unevenly"])
async def test_three_replicas_hold_a_limit_together_within_five_percent(bus: Bus, asking: tuple[int, ...]) -> None:
    world = World()
    replicas = [Replica(bus, world) for _ in asking]

    assert within(0.05, await minute(replicas, world, asking))


@pytest.mark.asyncio
async def test_three_replicas_that_never_exchange_let_through_three_times_as_much(bus: Bus) -> None:
    world = World()
    replicas = [Replica(bus, world) for _ in range(3)]
    for replica in replicas:
        replica.fleet = Fleet(bus, (), lambda: world.now)

    assert within(0.05, await minute(replicas, world, (2, 2, 2)) // 3)


@pytest.mark.asyncio
async def test_clocks_a_second_apart_change_nothing(bus: Bus) -> None:
    world = World()
    replicas = [Replica(bus, world, skew) for skew in (-0.5, 0, 0.5)]

    assert within(0.05, await minute(replicas, world, (2, 2, 2)))


@pytest.mark.asyncio
async def test_when_a_replica_dies_the_others_have_its_part(bus: Bus) -> None:
    world = World()
    replicas = [Replica(bus, world) for _ in range(3)]
    await minute(replicas, world, (2, 2, 2), ticks=1000)

    assert within(0.05, await minute(replicas[:2], world, (2, 2), ticks=3000), seconds=30)


@pytest.mark.asyncio
async def test_without_nats_each_replica_holds_the_limit_by_itself_and_nothing_is_owed_afterwards(
    bus: Bus, nats_server: NatsServer, caplog: pytest.LogCaptureFixture, wait_until: Callable[..., Any]
) -> None:
    world = World()
    replicas = [Replica(bus, world) for _ in range(2)]
    nats_server.kill()
    await wait_until(lambda: not bus.connected)

    with caplog.at_level(logging.WARNING, "worksite.gateway.fleet"):
        admitted = await minute(replicas, world, (3, 3))
    assert within(0.02, admitted // 2)
    told = [record for record in caplog.records if record.name == "worksite.gateway.fleet"]
    assert len(told) == len(replicas)  # not one per exchange

    nats_server.start()
    await wait_until(lambda: bus.connected)
    assert within(0.05, await minute(replicas, world, (2, 2), ticks=3000), seconds=30)


@pytest.mark.asyncio
async def test_a_bus_without_the_stream_leaves_the_local_limit(nats_server: NatsServer) -> None:
    unprovisioned, world = await Bus.connect(BusSettings(nats_server.url, "gateway")), World()
    replica = Replica(unprovisioned, world)

    assert within(0.05, await minute([replica], world, (2,), ticks=1000), seconds=10)
    await unprovisioned.close()


@pytest_asyncio.fixture
async def seen_subjects(bus: Bus) -> AsyncIterator[list[str]]:
    """What is published on the rate subjects."""
    found: list[str] = []

    async def note(message: Any) -> None:
        found.append(message.subject)

    subscription = await bus.client.subscribe(subjects.rate_subject("*", "*", 0).replace(".0", ".*"), cb=note)
    await bus.subscribed()
    yield found
    await subscription.unsubscribe()


@pytest.mark.asyncio
async def test_subjects_show_the_tenant_but_neither_people_nor_addresses(bus: Bus, seen_subjects: list[str]) -> None:
    world = World()
    replica = Replica(bus, world)
    replica.ask(1, subject="ada > * lovelace@example.org")
    replica.limiter.admit_stranger(Request({"type": "http", "client": ("203.0.113.9", 1)}))
    await replica.fleet.exchange()

    tokens = {tuple(subject.split(".")[3:5]) for subject in seen_subjects}
    assert {tenant for tenant, _ in tokens} == {"acme", "-"}
    assert all(re.fullmatch(r"(principal|tenant|address)-[0-9a-f]{32}", key) for _, key in tokens)


@pytest.mark.asyncio
async def test_what_nobody_asked_about_costs_no_message(bus: Bus, seen_subjects: list[str]) -> None:
    replica = Replica(bus, World())
    await replica.fleet.exchange()

    assert seen_subjects == []
