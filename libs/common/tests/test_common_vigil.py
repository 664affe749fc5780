"""A server that falls silent: who has to answer a client at once is not kept waiting, and goes on when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, KeyValue, vigil
from worksite.common.errors import BusUnavailable, PermissionDenied
from worksite.common.messages import TaskState
from worksite.common.pulse import Pulse
from worksite.common.testing import NatsServer, examples, start_cluster

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(180)]
TIME_OUT = 300.0
"""Of the bus: whoever waits for it does not end within the test."""
PATIENCE = 0.3


@pytest_asyncio.fixture
async def patient(bus: Bus) -> AsyncIterator[Bus]:
    """Would wait for ever; `bus` has made the streams."""
    patient = await Bus.connect(BusSettings(bus.settings.url, "gateway", timeout_seconds=TIME_OUT))
    async with vigil.kept(patient, PATIENCE):
        yield patient
    await patient.close()


async def published(bus: Bus, state: TaskState) -> int:
    subject = subjects.state_subject(state.tenant, state.task)
    return await bus.publish(subject, state, Envelope(state.ce_type(), "admin", state.tenant, state.task))


async def until(bus: Bus, reachable: bool) -> None:
    async with asyncio.timeout(40):
        while bus.reachable != reachable:
            await asyncio.sleep(0.01)


async def test_what_is_asked_of_a_server_that_stands_still_fails_at_once_before_the_connection_is_given_up(
    patient: Bus, nats_server: NatsServer
) -> None:
    store = KeyValue(patient, subjects.TASKS)
    await store.get("a.b")
    nats_server.stand_still()
    try:
        waiting = asyncio.create_task(store.get("a.b"))
        with pytest.raises(BusUnavailable, match="does not answer"):
            await waiting
        assert patient.connected
        assert not patient.reachable
        assert Pulse(patient).ready() == "NATS does not answer"
        with pytest.raises(BusUnavailable, match="is not asked"):
            await published(patient, examples.task_state())
    finally:
        nats_server.go_on()
    await until(patient, reachable=True)
    assert await store.get("a.b") is None
    assert await patient.read("EVENTS", ">", 0) == [], "what was refused is not sent later"


async def test_what_is_under_way_when_the_server_is_killed_fails_at_once(patient: Bus, nats_server: NatsServer) -> None:
    nats_server.stand_still()
    waiting = asyncio.create_task(KeyValue(patient, subjects.TASKS).get("a.b"))
    await asyncio.sleep(0)
    nats_server.kill()
    with pytest.raises(BusUnavailable):
        await waiting
    nats_server.start()
    await until(patient, reachable=True)
    assert await published(patient, examples.task_state()) > 0


class Scripted(Bus):
    """Asked by a process that gets no turn for so many seconds, and then finds no answer; after that it answers."""

    stalls: list[float]

    async def answers(self, patience_seconds: float) -> bool:
        if not self.stalls:
            return True
        time.sleep(self.stalls.pop(0))  # noqa: ASYNC251
        return False


async def looked(bus: Bus, *stalls: float) -> tuple[bool, int]:
    """Is it given up after one look, and how many questions were not put?"""
    scripted = await Scripted.connect(bus.settings)
    assert isinstance(scripted, Scripted)
    scripted.stalls = list(stalls)
    await vigil.look(scripted, scripted, PATIENCE)
    await scripted.close()
    return scripted.given_up, len(scripted.stalls)


async def test_who_stood_still_itself_does_not_blame_the_server(bus: Bus) -> None:
    assert await looked(bus, 0.7 * PATIENCE, 0, 0) == (False, 2), "the answer may be there by now, unread"
    assert await looked(bus, 0, 0.7 * PATIENCE, 0) == (False, 1)


async def test_a_server_is_asked_once_more_before_it_is_given_up(bus: Bus) -> None:
    assert await looked(bus, 0) == (False, 0)
    assert await looked(bus, 0, 0) == (True, 0)


class Lonely(Bus):
    """Has no other connection beside it, for a reason that is no outage."""

    async def beside(self, timeout_seconds: float) -> Bus:
        self.refused.set()
        raise PermissionDenied("not you")

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.refused = asyncio.Event()


async def test_who_is_refused_a_second_connection_asks_over_the_first_and_takes_the_server_back(bus: Bus) -> None:
    lonely = await Lonely.connect(bus.settings)
    assert isinstance(lonely, Lonely)
    lonely.give_up()
    async with vigil.kept(lonely, PATIENCE):
        await lonely.refused.wait()
        await until(lonely, reachable=True)
    await lonely.close()


@dataclass
class Pair:
    """A bus on one server of a cluster, whose settings lead elsewhere, as nats-py's shuffle does with several."""

    bus: Bus
    its_server: NatsServer
    other: NatsServer


@pytest_asyncio.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    with start_cluster(tmp_path, size=2) as cluster:
        its_server, other = cluster.nodes
        bus = await Counting.connect(BusSettings(its_server.url, "gateway", timeout_seconds=TIME_OUT))
        bus.settings = replace(bus.settings, url=other.url)
        async with vigil.kept(bus, PATIENCE):
            yield Pair(bus, its_server, other)
        its_server.go_on()
        other.go_on()
        await bus.close()


class Counting(Bus):
    """Knows how often a server was asked, over whichever connection."""

    questions = 0

    async def answers(self, patience_seconds: float) -> bool:
        Counting.questions += 1
        return await super().answers(patience_seconds)


async def test_another_server_of_the_cluster_that_stands_still_is_no_reason_to_give_the_bus_up(pair: Pair) -> None:
    await asked_again()
    pair.other.stand_still()
    await asked_again()
    assert pair.bus.reachable


async def asked_again() -> None:
    """So often that a silent server would have been given up."""
    before = Counting.questions
    async with asyncio.timeout(40):
        while Counting.questions < before + 6:
            await asyncio.sleep(0.01)


async def test_the_server_of_the_bus_that_stands_still_is_noticed_while_others_of_the_cluster_answer(
    pair: Pair,
) -> None:
    await asked_again()
    pair.its_server.stand_still()
    await until(pair.bus, reachable=False)
    assert pair.bus.connected, "it was noticed before the client lost its connection"
    pair.its_server.go_on()
    await until(pair.bus, reachable=True)
