"""Every service on the bus, under the generated configuration: what it needs works, what is another's is refused."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from pydantic import SecretStr
from worksite.cli.stack import nats_config
from worksite.common import subjects
from worksite.common.artifacts import Artifacts, Removed
from worksite.common.bus import (
    Bus,
    BusSettings,
    Delivery,
    Envelope,
    KeyValue,
    add,
    announce,
    answer,
    provision,
    request,
)
from worksite.common.bus.consumer import consume
from worksite.common.dead_letters import bury, find
from worksite.common.errors import PermissionDenied, ServiceUnavailable
from worksite.common.ledger import Ledger
from worksite.common.llm.budgets import BudgetLimits, Budgets
from worksite.common.llm.governor import Governor
from worksite.common.llm.journal import Journal, Place
from worksite.common.llm.pacing import PaceLimits
from worksite.common.messages import RedriveLetter, RedriveOutcome, SearchRequest, SearchResponse, StepProgress
from worksite.common.subjects import SERVICES
from worksite.common.testing import examples
from worksite.common.testing.examples import TASK, TENANT
from worksite.common.testing.nats import start_nats
from worksite.common.worker import Reply, Worker

AGENTS = ("architect", "builder", "validator")
CALLERS = (*AGENTS, "admin")
"""Of language models."""


@pytest.fixture
def server(tmp_path: Path):
    """nats-server with the users and permissions that `worksite up` generates."""
    passwords = {user: f"password-of-{user}" for user in (*SERVICES, "provision")}
    with start_nats(tmp_path, nats_config.authorization(passwords, "provision")) as running:
        yield running


def settings(server, user):
    return BusSettings(server.url, user, user, SecretStr(f"password-of-{user}"))


@pytest_asyncio.fixture
async def connect(server):
    """Connections as any service, provisioned once, closed at the end."""
    opened = []

    async def as_service(service):
        bus = await Bus.connect(settings(server, service))
        opened.append(bus)
        return bus

    await provision(await as_service("provision"), 1 << 30)
    yield as_service
    for bus in opened:
        await bus.close()


def event(service, step="1-import"):
    return subjects.event_subject(TENANT, TASK, service, step, "progress")


def envelope(service):
    return Envelope(StepProgress.ce_type(), service, TENANT, TASK)


PROGRESS = StepProgress(task=TASK, tenant=TENANT, step="1-import", text="x")


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_no_service_can_speak_for_another(connect, service):
    bus = await connect(service)
    await bus.publish(event(service), PROGRESS, envelope(service))
    for other in set(SERVICES) - {service}:
        with pytest.raises(PermissionDenied):
            await bus.publish(event(other), PROGRESS, envelope(service))


@pytest.mark.asyncio
@pytest.mark.parametrize("service", SERVICES)
async def test_only_the_provisioner_may_change_streams(connect, service):
    bus = await connect(service)
    for verb in ("STREAM.CREATE.X", "STREAM.DELETE.EVENTS", "STREAM.PURGE.EVENTS", "STREAM.UPDATE.WORK"):
        with pytest.raises(PermissionDenied):
            await bus.request_raw(f"$JS.API.{verb}", b"{}")


@pytest.mark.asyncio
@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"admin"}))
async def test_only_admin_commands_agents(connect, service):
    bus = await connect(service)
    command = examples.commands()[0]
    with pytest.raises(PermissionDenied):
        await bus.publish(subjects.work_subject("builder", TENANT), command, envelope(service))


@pytest.mark.asyncio
@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"gateway"}))
async def test_only_the_gateway_takes_tasks_in(connect, service):
    bus = await connect(service)
    with pytest.raises(PermissionDenied):
        await bus.publish(subjects.task_subject(TENANT), examples.submit_task(), envelope(service))


@pytest.mark.asyncio
@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"gateway"}))
async def test_only_the_gateway_counts_requests(connect, service):
    counter = subjects.rate_subject(TENANT, "tenant-0", 1)
    assert await add(await connect("gateway"), counter, 1) == 1
    bus = await connect(service)
    with pytest.raises(PermissionDenied):
        await add(bus, counter, 1)


@pytest.mark.asyncio
@pytest.mark.parametrize("service", AGENTS)
async def test_an_agent_reaches_its_own_ledger_keys_only(connect, service):
    bus = await connect(service)
    assert await Ledger(bus, service).claim(TASK, "1-import", "me")
    other = next(agent for agent in AGENTS if agent != service)
    with pytest.raises(PermissionDenied):
        await Ledger(bus, other).claim(TASK, "1-import", "me")
    with pytest.raises(PermissionDenied):
        await bus.publish_raw(f"$KV.ledger.{other}.{TASK}.1-import", b"{}", {})


@pytest.mark.asyncio
@pytest.mark.parametrize("service", AGENTS)
async def test_an_agent_takes_its_own_work_and_nobody_elses(connect, service):
    bus, admin = await connect(service), await connect("admin")
    await admin.publish(subjects.work_subject(service, TENANT), examples.commands()[0], envelope("admin"))
    stop, got = asyncio.Event(), asyncio.Event()

    async def handle(delivery):
        await delivery.ack()
        got.set()

    running = asyncio.create_task(consume(bus, "WORK", service, handle, concurrency=2, stop=stop))
    await asyncio.wait_for(got.wait(), 5)
    stop.set()
    await running
    other = next(agent for agent in AGENTS if agent != service)
    with pytest.raises(PermissionDenied):
        await bus.request_raw(f"$JS.API.CONSUMER.MSG.NEXT.WORK.{other}", b"1")


@pytest.mark.asyncio
@pytest.mark.parametrize("service", AGENTS)
async def test_an_agent_stores_and_reads_artifacts(connect, service):
    artifacts = Artifacts(await connect(service))
    ref = await artifacts.put(b"x" * 200_000, "text/plain")
    assert len(await artifacts.get(ref)) == 200_000


@pytest.mark.asyncio
async def test_the_gateway_stores_uploads_for_the_builder_and_can_remove_nothing(connect):
    gateway = await connect("gateway")
    ref = await Artifacts(gateway).put(b"data", "application/zip")
    assert await Artifacts(await connect("builder")).get(ref) == b"data"
    with pytest.raises(PermissionDenied):
        await Artifacts(gateway).remove(ref)


@pytest.mark.asyncio
async def test_admin_collects_what_others_have_put(connect, monkeypatch):
    builder, admin = Artifacts(await connect("builder")), await connect("admin")
    kept, _ = [await builder.put(data, "text/plain") for data in (b"kept", b"old")]
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await Artifacts(admin).remove_all_but({kept.sha256}, later) == Removed(blobs=1, bytes=3)

    async def nothing(*_):  # as a replica that lags may answer: then the leader is asked
        return []

    monkeypatch.setattr(admin, "read", nothing)
    assert await Artifacts(admin).remove_all_but((), later) == Removed()
    assert await builder.get(kept) == b"kept"


@pytest.mark.asyncio
async def test_the_gateway_reads_events_and_the_read_model(connect):
    gateway, admin = await connect("gateway"), await connect("admin")
    await admin.publish(event("admin"), PROGRESS, envelope("admin"))
    assert len(await gateway.read("EVENTS", subjects.task_events_filter(TENANT, TASK), 0)) == 1
    async with gateway.listen(subjects.task_events_filter(TENANT, TASK)):
        pass
    store = KeyValue(gateway, subjects.TASKS)
    await store.create(f"{TENANT}.{TASK}", b"{}")
    assert [entry.key for entry in await store.entries(TENANT)] == [f"{TENANT}.{TASK}"]


@pytest.mark.asyncio
async def test_revoking_with_a_time_to_live_works_for_the_gateway(connect):
    store = KeyValue(await connect("gateway"), subjects.REVOKED)
    await store.create("token", b"1", ttl_seconds=60)
    assert await store.get("token")


@pytest.mark.asyncio
async def test_search_is_answered_across_users(connect):
    rag, architect = await connect("rag"), await connect("architect")
    micro = await announce(rag, "rag", "0.1.0")

    async def search(_: SearchRequest) -> SearchResponse:
        return SearchResponse(results=(), reranked=False, timings_ms={})

    await answer(micro, "search", SearchRequest, search)
    assert await request(architect, "rag", "search", SearchRequest(tenant=TENANT, query="q"), SearchResponse)
    await micro.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("service", sorted(set(SERVICES) - {"rag"}))
async def test_nobody_else_can_answer_for_rag(connect, service):
    impostor, rag, asker = await connect(service), await connect("rag"), await connect("architect")
    answered = asyncio.Event()

    async def steal(_):
        answered.set()

    await impostor.client.subscribe(subjects.rpc_subject("rag", "search"), cb=steal)
    micro = await announce(rag, "rag", "0.1.0")

    async def search(_: SearchRequest) -> SearchResponse:
        return SearchResponse(results=(), reranked=False, timings_ms={})

    await answer(micro, "search", SearchRequest, search)
    for _ in range(5):
        await request(asker, "rag", "search", SearchRequest(tenant=TENANT, query="q"), SearchResponse)
    await impostor.client.flush()
    assert not answered.is_set()
    await micro.stop()


async def died_at(service, connect):
    """A message that the service could not handle; returns its letter's sequence, which is the first."""
    subject = subjects.work_subject(service, TENANT)
    delivery = Delivery(subject, b"{", {}, "WORK", 1, 1, None)
    bus = await connect(service)
    await bury(bus, service, delivery, "poison", terminate=False)
    return 1


@pytest.mark.asyncio
async def test_a_dead_letter_goes_from_its_service_by_the_gateway_to_admin_which_sends_it_again(connect):
    sequence, gateway, admin = await died_at("builder", connect), await connect("gateway"), await connect("admin")
    micro = await announce(admin, "admin", "0.1.0")

    async def redrive(asked: RedriveLetter) -> RedriveOutcome:
        letter = await find(admin, asked.tenant, asked.sequence)
        await admin.publish_raw(letter.original.subject, letter.original.data, letter.headers_again())
        return RedriveOutcome(redriven=True)

    await answer(micro, "redrive", RedriveLetter, redrive)
    assert (await find(gateway, TENANT, sequence)).letter.reason == "poison"
    await KeyValue(gateway, subjects.LETTERS).create(f"{TENANT}.{sequence}", b"{}")
    asked = RedriveLetter(tenant=TENANT, sequence=sequence)
    assert (await request(gateway, "admin", "redrive", asked, RedriveOutcome)).redriven
    [sent] = await (await connect("provision")).read("WORK", subjects.work_subject("builder", TENANT), 0)
    assert sent.headers["ws-redrive-count"] == "1"
    await micro.stop()


@pytest.mark.asyncio
async def test_the_gateway_can_remove_no_letter_and_command_no_agent(connect):
    sequence, gateway = await died_at("builder", connect), await connect("gateway")
    letter = await find(gateway, TENANT, sequence)
    for verb in ("STREAM.PURGE.DEAD", "STREAM.MSG.DELETE.DEAD", "STREAM.MSG.GET.DEAD"):
        with pytest.raises(PermissionDenied):
            await gateway.request_raw(f"$JS.API.{verb}", b"{}")
    for subject in (letter.original.subject, subjects.dead_subject("builder", TENANT)):
        with pytest.raises(PermissionDenied):
            await gateway.publish_raw(subject, letter.original.data, letter.headers_again())


@pytest.mark.asyncio
@pytest.mark.parametrize("service", [*AGENTS, "rag"])
async def test_whoever_buries_reads_no_letters_closes_none_and_redrives_none(connect, service):
    sequence, bus = await died_at(service, connect), await connect(service)
    with pytest.raises(PermissionDenied):
        await bus.last("DEAD", subjects.dead_subject(service, TENANT))
    with pytest.raises(PermissionDenied):
        await KeyValue(bus, subjects.LETTERS).update(f"{TENANT}.{sequence}", b"{}", 0)
    with pytest.raises(ServiceUnavailable, match="refuses this service"):
        await request(bus, "admin", "redrive", RedriveLetter(tenant=TENANT, sequence=sequence), RedriveOutcome)


@pytest.mark.asyncio
async def test_a_worker_killed_between_publish_and_ack_may_see_that_its_result_is_there(connect):
    bus, admin, overseer = await connect("builder"), await connect("admin"), await connect("provision")
    command, stop = examples.commands()[0], asyncio.Event()
    running = asyncio.create_task(Worker(bus, "builder", {type(command): done}).run(stop))
    try:
        for copy in ("first", "again"):
            sent = Envelope(command.ce_type(), "admin", TENANT, TASK)
            await admin.publish(subjects.work_subject("builder", TENANT), command, sent, msg_id=copy)
            async with asyncio.timeout(10):
                while (await overseer.jetstream.stream_info("WORK")).state.messages:
                    await asyncio.sleep(0.005)
    finally:
        stop.set()
        await running
    with pytest.raises(PermissionDenied):
        await bus.last("EVENTS", subjects.state_subject(TENANT, TASK))


async def done(command, context):
    return Reply(examples.imported_project())


def journal_of(bus, service, task=TASK):
    async def holds():
        return True

    return Journal(bus, Artifacts(bus), Place(TENANT, task, service, "2-build"), "w1", holds)


@pytest.mark.asyncio
@pytest.mark.parametrize("service", CALLERS)
async def test_who_calls_models_has_its_own_journal_budgets_and_the_fleets_pace(connect, service):
    bus, now = await connect(service), datetime.now(UTC)
    body = "x" * (1_000 if service == "admin" else 100_000)  # what admin asks for, a route, is never an artifact
    first = journal_of(bus, service)
    await first.load()
    assert await first.begin("ab" * 32) is None
    await first.complete("ab" * 32, body)
    again = journal_of(bus, service)
    await again.load()
    assert (await again.begin("ab" * 32)).body == body

    budgets = Budgets(bus, BudgetLimits(10, 10, 10), TENANT, TASK, "2-build")
    await budgets.reserve("1", 5, now)
    await budgets.settle("1", 3, now)
    governor = Governor(bus, {"m": PaceLimits(requests=1)})
    await governor.settle(await governor.admit("m", 1, 1, 0), None)


@pytest.mark.asyncio
@pytest.mark.parametrize("service", CALLERS)
async def test_nobody_reads_or_writes_another_services_journal(connect, service):
    bus = await connect(service)
    for other in set(CALLERS) - {service}:
        foreign = journal_of(bus, other)
        with pytest.raises(PermissionDenied):
            await foreign.load()
        with pytest.raises(PermissionDenied):
            await foreign.begin("ab" * 32)


@pytest.mark.asyncio
@pytest.mark.parametrize("service", ["gateway", "rag"])
async def test_who_calls_no_model_touches_neither_journal_nor_budgets(connect, service):
    bus = await connect(service)
    with pytest.raises(PermissionDenied):
        await journal_of(bus, service).begin("ab" * 32)
    with pytest.raises(PermissionDenied):
        await KeyValue(bus, subjects.MODELS).create(f"tenant.{TENANT}.2026-11", b"{}")
