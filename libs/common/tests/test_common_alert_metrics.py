"""The metrics that alerts stand on move when the thing happens, and only then (deploy/observability/alerts.yaml)."""

import asyncio
import contextlib

import httpx
import nats.errors
import pytest
from nats.aio.msg import Msg
from prometheus_client import REGISTRY
from worksite.common import subjects, telemetry
from worksite.common.bus import Bus, BusSettings, Envelope, announce, answer, consumer, lag, request
from worksite.common.errors import BusUnavailable, Conflict, QueueFull, ServiceUnavailable, StepRefused
from worksite.common.health import Health, ops_server
from worksite.common.ledger import MAX_FAILURES
from worksite.common.messages import Embedding, EmbedText, ImportProject
from worksite.common.testing import examples
from worksite.common.testing.examples import TENANT
from worksite.common.worker import Reply, Worker

IMPORT = examples.commands()[0]
WORK = {"kind": "work"}


def value(name, **labels):
    return REGISTRY.get_sample_value(name, labels) or 0.0


@contextlib.contextmanager
def rises(name, by, **labels):
    before = value(name, **labels)
    yield
    assert value(name, **labels) - before == by


async def send(bus, data=None, headers=None):
    envelope = Envelope(IMPORT.ce_type(), "admin", TENANT, IMPORT.task).headers()
    await bus.publish_raw(subjects.work_subject("builder", TENANT), data or IMPORT.to_json(), headers or envelope)


async def worked_off(bus, handler):
    """A worker at the queue until it is empty."""
    stop = asyncio.Event()
    running = asyncio.create_task(Worker(bus, "builder", {ImportProject: handler}).run(stop, grace_seconds=1))
    async with asyncio.timeout(30):
        while (await bus.jetstream.stream_info("WORK")).state.messages:
            await asyncio.sleep(0.005)
    stop.set()
    await running


@pytest.fixture(autouse=True)
def quick_hand_backs(monkeypatch):
    monkeypatch.setattr(consumer, "_BACKOFF_FIRST", 0.005)
    monkeypatch.setattr(consumer, "_BACKOFF_LAST", 0.02)


async def good(command, context):
    return Reply(examples.imported_project())


@pytest.mark.asyncio
async def test_a_dead_letter_is_counted_and_a_good_message_is_not(bus):
    await send(bus, b"{")
    await send(bus)
    with rises("worksite_dead_letters_total", 1, **WORK), rises("worksite_handler_failures_total", 0, **WORK):
        await worked_off(bus, good)


@pytest.mark.asyncio
async def test_each_failure_of_a_handler_and_each_redelivery_is_counted(bus):
    async def broken(command, context):
        raise ValueError("a fault")

    await send(bus)
    with (
        rises("worksite_handler_failures_total", MAX_FAILURES, **WORK),
        rises("worksite_redeliveries_total", MAX_FAILURES - 1, **WORK),
        rises("worksite_message_handling_seconds_count", MAX_FAILURES - 1, **WORK, outcome="handed_back"),
        rises("worksite_dead_letters_total", 1, **WORK),
    ):
        await worked_off(bus, broken)


@pytest.mark.asyncio
async def test_a_handler_that_lets_an_error_through_is_counted(bus):
    stop = asyncio.Event()

    async def handle(delivery):
        if delivery.attempt == 1:
            raise RuntimeError("a fault of ours")
        await delivery.ack()
        stop.set()

    await send(bus)
    with rises("worksite_handler_failures_total", 1, **WORK):
        async with asyncio.timeout(30):
            await consumer.consume(bus, "WORK", "builder", handle, concurrency=1, stop=stop)


@pytest.mark.asyncio
async def test_an_ack_that_the_server_does_not_answer_is_no_failure_of_the_handler(bus, monkeypatch, caplog):
    stop, answered = asyncio.Event(), Msg.ack_sync

    async def unanswered(message, **_):
        monkeypatch.setattr(Msg, "ack_sync", answered)
        raise nats.errors.TimeoutError

    async def handle(delivery):
        if delivery.attempt > 1:
            stop.set()
        await delivery.ack()

    await send(bus)
    monkeypatch.setattr(Msg, "ack_sync", unanswered)
    with (
        rises("worksite_handler_failures_total", 0, **WORK),
        rises("worksite_message_handling_seconds_count", 1, **WORK, outcome="handed_back"),
        rises("worksite_message_handling_seconds_count", 0, **WORK, outcome="error"),
    ):
        async with asyncio.timeout(30):
            await consumer.consume(bus, "WORK", "builder", handle, concurrency=1, stop=stop)
    assert [record.levelname for record in caplog.records if "no answer from NATS" in record.message] == ["WARNING"]


@pytest.mark.asyncio
async def test_what_a_full_queue_refuses_is_counted(bus):
    with rises("worksite_queue_refusals_total", 2, **WORK):
        for _ in range(subjects.WORK_CAP_PER_TENANT):
            await send(bus)
        for _ in range(2):
            with pytest.raises(QueueFull):
                await send(bus)


@pytest.mark.asyncio
async def test_a_lost_connection_is_counted_once_and_a_closed_one_is_not(bus, nats_server):
    other = await Bus.connect(BusSettings(nats_server.url, "other"))
    with rises("worksite_bus_disconnects_total", 0):
        await other.close()
    with rises("worksite_bus_disconnects_total", 1):
        nats_server.kill()
        nats_server.start()
        async with asyncio.timeout(30):
            while bus.client.stats["reconnects"] == 0:
                await asyncio.sleep(0.01)


@pytest.mark.asyncio
async def test_a_failing_probe_shows_until_it_is_well_again():
    said = {"consumer": "no fetch for a while"}
    health = Health(alive={"consumer": lambda: said.get("consumer")}, ready={"bus": lambda: None})
    async with ops_server(health, "127.0.0.1", 0) as port, httpx.AsyncClient(trust_env=False) as client:
        stalled = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
        said.clear()
        well = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    assert 'worksite_probe_failing{probe="consumer"} 1.0' in stalled
    assert 'worksite_probe_failing{probe="bus"} 0.0' in stalled
    assert 'worksite_probe_failing{probe="consumer"} 0.0' in well


@pytest.mark.asyncio
async def test_what_waits_for_a_consumer_and_what_it_has_in_hand_are_told(bus):
    consumers = {"stream": "WORK", "consumer": "builder"}
    for _ in range(3):
        await send(bus)
    subscription = await bus.jetstream.pull_subscribe_bind("builder", "WORK")
    await subscription.fetch(1)

    await lag.look(bus, "WORK", "builder")

    assert value("worksite_consumer_pending", **consumers) == 2
    assert value("worksite_consumer_in_hand", **consumers) == 1
    assert value("worksite_consumer_redelivered", **consumers) == 0
    await subscription.unsubscribe()


@pytest.mark.asyncio
async def test_a_consumer_tells_how_far_behind_it_is_while_it_consumes(bus, monkeypatch):
    monkeypatch.setattr(lag, "LOOK_SECONDS", 0.01)
    held, seen = asyncio.Event(), []

    async def slow(command, context):
        async with asyncio.timeout(30):
            while not seen:
                await asyncio.sleep(0.01)
                seen[:] = [1] * (value("worksite_consumer_in_hand", stream="WORK", consumer="builder") == 1)
        held.set()
        return Reply(examples.imported_project())

    await send(bus)
    await worked_off(bus, slow)
    assert held.is_set()


@pytest.mark.asyncio
async def test_a_publication_that_nobody_acknowledges_is_counted_and_a_lost_race_is_not(bus):
    envelope = Envelope(IMPORT.ce_type(), "admin", TENANT, IMPORT.task)
    subject = subjects.work_subject("builder", TENANT)
    with rises("worksite_publish_failures_total", 0, **WORK), pytest.raises(Conflict):
        await bus.publish(subject, IMPORT, envelope, expected_last=99)
    await bus.jetstream.delete_stream("EVENTS")
    with rises("worksite_publish_failures_total", 1, kind="event"), pytest.raises(BusUnavailable):
        await bus.publish_raw(subjects.state_subject(TENANT, IMPORT.task), b"{}", {})
    with rises("worksite_publish_failures_total", 1, kind="rpc"), pytest.raises(ServiceUnavailable):
        await request(bus, "nobody", "embed", EmbedText(text="x"), Embedding)


@pytest.mark.asyncio
async def test_steps_are_timed_by_what_was_done_and_how_it_ended(bus):
    tries = []

    async def refused_at_last(command, context):
        tries.append(command)
        if len(tries) == 1:
            raise ValueError("a fault")
        if len(tries) == 2:
            raise BusUnavailable("away")
        raise StepRefused("code", "no")

    step = {"step": "import"}
    with (
        rises("worksite_step_seconds_count", 1, **step, outcome="retried"),
        rises("worksite_step_seconds_count", 1, **step, outcome="interrupted"),
        rises("worksite_step_seconds_count", 1, **step, outcome="refused"),
        rises("worksite_step_seconds_count", 0, **step, outcome="ok"),
    ):
        await send(bus)
        await worked_off(bus, refused_at_last)
    with rises("worksite_step_seconds_count", 1, **step, outcome="ok"):
        await bus.jetstream.purge_stream("KV_ledger")
        await bus.jetstream.purge_stream("EVENTS")
        await send(bus)
        await worked_off(bus, good)


@pytest.mark.asyncio
async def test_answers_to_requests_are_timed_by_verb_and_how_they_ended(bus):
    async def embed(asked):
        if asked.text == "bad":
            raise ServiceUnavailable("busy")
        return Embedding(embedder="e", vector=(1.0,))

    service = await announce(bus, "rag", "1.0.0")
    await answer(service, "embed", EmbedText, embed)
    with (
        rises("worksite_rpc_seconds_count", 1, verb="embed", outcome="answered"),
        rises("worksite_rpc_seconds_count", 1, verb="embed", outcome="failed"),
    ):
        await request(bus, "rag", "embed", EmbedText(text="good"), Embedding)
        with pytest.raises(ServiceUnavailable):
            await request(bus, "rag", "embed", EmbedText(text="bad"), Embedding)
    await service.stop()


@pytest.mark.parametrize("kind", telemetry.KINDS)
def test_what_may_happen_once_is_counted_from_zero_so_that_an_alert_sees_the_first_time(kind):
    assert REGISTRY.get_sample_value("worksite_dead_letters_total", {"kind": kind}) is not None
    assert REGISTRY.get_sample_value("worksite_publish_failures_total", {"kind": kind}) is not None
