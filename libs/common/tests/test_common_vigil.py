"""A server that falls silent: who has to answer a client at once is not kept waiting, and goes on when it is back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, KeyValue, vigil
from worksite.common.errors import BusUnavailable
from worksite.common.messages import TaskState
from worksite.common.pulse import Pulse
from worksite.common.testing import NatsServer, examples

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
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


class Starved(Bus):
    """In a process that gets no turn while it waits for the answer, and then finds that its time is over."""

    async def answers(self, patience_seconds: float) -> bool:
        time.sleep(2 * patience_seconds)  # noqa: ASYNC251
        return False


async def test_who_stood_still_itself_does_not_blame_the_server(bus: Bus) -> None:
    starved = await Starved.connect(bus.settings)
    await vigil.look(starved, starved, PATIENCE)
    assert starved.reachable
    await starved.close()
