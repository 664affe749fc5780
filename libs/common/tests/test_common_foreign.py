"""What the server wrote into a stream because somebody named its subject as the reply of a request (ADR 0009)."""

import asyncio

import pytest
from prometheus_client import REGISTRY
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Envelope, KeyValue
from worksite.common.errors import Conflict, Fenced
from worksite.common.ledger import Claim, Ledger
from worksite.common.messages import StepProgress
from worksite.common.testing import examples
from worksite.common.testing.examples import TASK, TENANT

STATE = subjects.state_subject(TENANT, TASK)
ELSEWHERE = subjects.event_subject(TENANT, TASK, "builder", "1-import", "progress")
ENVELOPE = Envelope("worksite.v1.step_progress", "admin", TENANT, TASK)


def progress(text):
    return StepProgress(task=TASK, tenant=TENANT, step="1-import", text=text)


async def told(bus, text, subject=STATE, **options):
    return await bus.publish(subject, progress(text), Envelope(ENVELOPE.type, "admin", TENANT, TASK), **options)


async def relay(bus, subject, stream="EVENTS", headers=None):
    """Have the server publish a message of ours on any subject."""
    own = subjects.event_subject(TENANT, TASK, "builder", "9-x", "result")
    sequence = await bus.publish_raw(own, b"forged", ENVELOPE.headers() if headers is None else headers)
    await answered_to(bus, stream, subject, "$JS.API.DIRECT.GET.EVENTS", b'{"seq":%d}' % sequence)


async def answered_to(bus, stream, subject, request, body):
    """Returns when the stream has stored the answer under that subject."""
    before = (await bus.tip(stream, subject)).sequence
    await bus.client.publish(request, body, reply=subject)
    async with asyncio.timeout(20):
        while (await bus.tip(stream, subject)).sequence == before:
            await asyncio.sleep(0.005)


def texts(records):
    return [StepProgress.consume(record.data).text for record in records]


@pytest.mark.asyncio
async def test_a_relayed_message_is_no_record_whatever_it_says_and_the_one_before_it_still_is(bus):
    genuine = await told(bus, "genuine")
    lies = {"Nats-Sequence": "1", "Nats-Subject": ELSEWHERE, "Nats-Time-Stamp": "2000-01-01T00:00:00Z"}
    for headers in ({}, lies, lies | {"nats-sequence": "7", "ws-relayed": ""}):
        await relay(bus, STATE, headers=ENVELOPE.headers() | headers)
    planted = await bus.jetstream.get_last_msg("EVENTS", STATE)
    assert planted.data == b"forged"

    assert texts([await bus.last("EVENTS", STATE), await bus.newest("EVENTS", STATE)]) == ["genuine"] * 2
    assert texts(await bus.read("EVENTS", STATE, 0)) == ["genuine"]
    tip = await bus.tip("EVENTS", STATE)
    assert (tip.sequence, tip.record.sequence) == (planted.seq, genuine)


@pytest.mark.asyncio
async def test_the_servers_values_count_for_what_was_published_with_a_sequence_of_its_own(bus):
    await bus.publish_raw(STATE, b"x", ENVELOPE.headers() | {"Nats-Sequence": "77", "Nats-Subject": ELSEWHERE})
    assert await bus.read("EVENTS", STATE, 0) == []
    assert (await bus.tip("EVENTS", STATE)).sequence == 1


@pytest.mark.asyncio
async def test_an_append_goes_on_after_a_foreign_message_and_two_of_them_still_conflict(bus):
    await told(bus, "1")
    await relay(bus, STATE)
    tip = await bus.tip("EVENTS", STATE)
    with pytest.raises(Conflict):
        await told(bus, "2", expected_last=tip.record.sequence)
    await told(bus, "2", expected_last=tip.sequence)
    with pytest.raises(Conflict):
        await told(bus, "3", expected_last=tip.sequence)
    assert texts(await bus.read("EVENTS", STATE, 0)) == ["1", "2"]


@pytest.mark.asyncio
async def test_a_subject_with_nothing_but_foreign_messages_has_no_record_and_can_be_begun(bus):
    await relay(bus, STATE)
    tip = await bus.tip("EVENTS", STATE)
    assert (tip.record, await bus.last("EVENTS", STATE), await bus.newest("EVENTS", STATE)) == (None, None, None)
    await told(bus, "first", expected_last=tip.sequence)
    assert texts([await bus.last("EVENTS", STATE)]) == ["first"]


@pytest.mark.asyncio
async def test_a_page_is_filled_with_records_however_many_foreign_messages_lie_between(bus):
    for text in "abc":
        await told(bus, text)
        for _ in range(4):
            await relay(bus, STATE)
    assert texts(await bus.read("EVENTS", STATE, 0, limit=2)) == ["a", "b"]
    assert texts(await bus.read("EVENTS", STATE, 1, limit=2)) == ["b", "c"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("request_subject", "body"),
    [
        ("$JS.API.CONSUMER.INFO.WORK.builder", b""),
        ("$JS.API.DIRECT.GET.EVENTS.ws.v1.event.nothing", b""),
        (ELSEWHERE, b"an acknowledgement"),
    ],
)
async def test_an_answer_of_the_server_is_no_record_of_a_task(bus, request_subject, body):
    await told(bus, "genuine")
    await answered_to(bus, "EVENTS", STATE, request_subject, body)
    assert texts([await bus.last("EVENTS", STATE)]) == ["genuine"]


@pytest.mark.asyncio
async def test_a_foreign_message_is_told_and_counted_once(bus, caplog):
    def counted():
        return REGISTRY.get_sample_value("worksite_foreign_messages_total", {"stream": "EVENTS"}) or 0

    before = counted()
    await relay(bus, STATE)
    for _ in range(3):
        await bus.last("EVENTS", STATE)
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert "relayed" in errors[0]
    assert STATE in errors[0]
    assert counted() == before + 1


@pytest.mark.asyncio
async def test_a_key_that_was_written_over_has_no_value_and_can_be_written_again(bus):
    store = KeyValue(bus, subjects.LEDGER)
    await store.create("k", b"1")
    await relay(bus, "$KV.ledger.k", "KV_ledger")
    assert (await store.get("k"), await store.entries(), await store.occupied("k")) == (None, [], True)
    assert [batch async for batch in store.newest_first("k", 4)] == []

    revision = await store.update("k", b"2", 0)
    assert (await store.get("k")).revision == revision
    with pytest.raises(Conflict):
        await store.update("k", b"3", 0)


@pytest.mark.asyncio
async def test_a_step_whose_claim_was_written_over_is_fenced_and_can_be_claimed_again(bus):
    ledger = Ledger(bus, "validator")
    first = await ledger.claim(TASK, "4-validate", "w1")
    await relay(bus, f"$KV.ledger.validator.{TASK}.4-validate", "KV_ledger")
    with pytest.raises(Fenced):
        await ledger.record(first, examples.step_result(examples.imported_project(), step="1-import", agent="builder"))
    async with asyncio.timeout(10):
        second = await ledger.claim(TASK, "4-validate", "w2")
    assert isinstance(second, Claim)
    await Ledger(bus, "admin").cancel("validator", TASK, "4-validate")
    assert await ledger.claim(TASK, "4-validate", "w3") is None


@pytest.mark.asyncio
async def test_an_artifact_is_read_although_its_metadata_and_pieces_were_written_over(bus):
    artifacts = Artifacts(bus)
    ref = await artifacts.put(b"x" * 100_000, "text/plain")
    for place in await bus.subjects("OBJ_artifacts", "$O.artifacts.>"):
        await relay(bus, place, "OBJ_artifacts")
    assert await artifacts.get(ref) == b"x" * 100_000


@pytest.mark.asyncio
async def test_an_artifact_whose_metadata_a_relay_follows_can_be_put_and_read_again(bus):
    artifacts = Artifacts(bus)
    ref = await artifacts.put(b"a design", "text/plain")
    metadata = (await bus.read("OBJ_artifacts", "$O.artifacts.M.>", 0))[-1].subject
    await relay(bus, metadata, "OBJ_artifacts")

    assert await asyncio.wait_for(artifacts.put(b"a design", "text/plain"), 20) == ref
    assert await artifacts.get(ref) == b"a design"
