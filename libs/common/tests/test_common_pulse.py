"""What probes say of a bus that is silent, away or deaf, and of a consumer that stands still, by clocks set by hand."""

import asyncio

import pytest
from worksite.common import pulse as pulse_module
from worksite.common.bus import Bus, BusSettings, connection, consume, consumer
from worksite.common.bus.consumer import STALLED_SECONDS, Progress
from worksite.common.pulse import DEAF_SECONDS, SILENT_SECONDS, Pulse


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """An answer that does not come costs the tests little; one that does is waited for on a busy machine too."""
    monkeypatch.setattr(pulse_module, "PATIENCE_SECONDS", 0.3)
    monkeypatch.setattr(consumer, "FETCH_SECONDS", 0.3)


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def heard(pulse):
    """Beats until one is answered: the first answer may take longer than the patience."""
    async with asyncio.timeout(30):
        while pulse.ready():
            await pulse.beat()


@pytest.mark.asyncio
async def test_a_server_that_stands_still_is_seen_although_the_connection_is_open(bus, nats_server, clock):
    pulse = Pulse(bus, clock)
    await pulse.beat()
    nats_server.stand_still()
    try:
        clock.now += SILENT_SECONDS + 1
        await pulse.beat()
        assert bus.connected
        assert (pulse.ready(), pulse.alive()) == ("NATS does not answer", None)
        clock.now += DEAF_SECONDS
        assert "has not answered for 71 s" in pulse.alive()
    finally:
        nats_server.go_on()
    await heard(pulse)
    assert (pulse.ready(), pulse.alive()) == (None, None)


@pytest.mark.asyncio
async def test_a_connection_that_nobody_reads_any_more_is_deaf_and_in_the_end_not_alive(bus, clock):
    pulse = Pulse(bus, clock)
    bus.client._reading_task.cancel()
    await asyncio.wait({bus.client._reading_task})
    clock.now += DEAF_SECONDS + 1
    await pulse.beat()
    assert bus.connected
    assert pulse.ready()
    assert pulse.alive()


@pytest.mark.asyncio
async def test_a_deaf_connection_is_given_up_and_made_anew(nats_server, monkeypatch):
    monkeypatch.setattr(connection, "_PING_SECONDS", 0.1)
    deaf = await Bus.connect(BusSettings(nats_server.url, "test"))
    deaf.client._reading_task.cancel()
    async with asyncio.timeout(30):
        while not await deaf.answers(0.3):
            await asyncio.sleep(0.01)
    await deaf.close()


@pytest.mark.asyncio
async def test_an_outage_makes_a_service_unready_and_never_dead(bus, nats_server, clock):
    pulse = Pulse(bus, clock)
    nats_server.kill()
    await until(lambda: not bus.connected)
    clock.now += 10 * DEAF_SECONDS
    assert (pulse.ready(), pulse.alive()) == ("not connected to NATS", None)
    await pulse.beat()
    nats_server.start()
    await until(lambda: bus.connected)
    assert (pulse.ready(), pulse.alive()) == (None, None)


@pytest.mark.asyncio
async def test_a_probe_asks_nobody_and_a_beat_asks_once(clock):
    class Silent:
        connected, given_up, asked = True, False, 0

        async def answers(self, patience_seconds):
            self.asked += 1
            return False

    silent = Silent()
    pulse = Pulse(silent, clock)
    for _ in range(100):
        pulse.ready()
        pulse.alive()
    assert silent.asked == 0
    await pulse.beat()
    assert silent.asked == 1


@pytest.fixture
def consuming(bus):
    """Starts a consumer that has nothing to do."""

    async def nothing(_):
        raise AssertionError("there is no message")

    def start(progress, stop):
        return asyncio.create_task(
            consume(bus, "WORK", "builder", nothing, concurrency=1, stop=stop, progress=progress, grace_seconds=0.1)
        )

    return start


@pytest.mark.asyncio
async def test_a_consumer_is_not_stalled_by_an_outage_and_turns_again_after_it(bus, nats_server, clock, consuming):
    stop, progress = asyncio.Event(), Progress(clock)
    running = consuming(progress, stop)
    nats_server.kill()
    await until(lambda: not bus.connected)
    clock.now += STALLED_SECONDS + 1
    await until(lambda: not progress.stalled())
    nats_server.start()
    await until(lambda: bus.connected)
    clock.now += STALLED_SECONDS + 1
    await until(lambda: not progress.stalled())
    stop.set()
    await running


@pytest.mark.asyncio
async def test_a_consumer_that_never_gets_to_its_first_turn_is_stalled(bus, clock, consuming):
    await bus.jetstream.delete_consumer("WORK", "builder")
    stop, progress = asyncio.Event(), Progress(clock)
    running = consuming(progress, stop)
    await until(lambda: progress.last_turn)
    clock.now += STALLED_SECONDS + 1
    assert progress.stalled()
    stop.set()
    await running


@pytest.mark.asyncio
async def test_a_consumer_that_hears_nothing_on_an_open_connection_is_stalled(bus, nats_server, clock, consuming):
    stop, progress = asyncio.Event(), Progress(clock)
    running = consuming(progress, stop)
    await until(lambda: progress.last_turn)
    nats_server.stand_still()
    try:
        clock.now += STALLED_SECONDS + 1
        assert bus.connected
        assert progress.stalled()
    finally:
        nats_server.go_on()
    await until(lambda: not progress.stalled())
    stop.set()
    await running
