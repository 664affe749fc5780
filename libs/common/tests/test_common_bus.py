"""The thin layer over nats-py, against a real server."""

import asyncio

import pytest
from nats.js.errors import APIError
from pydantic import SecretStr
from worksite.common import subjects
from worksite.common.bus import (
    Bus,
    BusSettings,
    Envelope,
    KeyValue,
    announce,
    answer,
    consume,
    consumer,
    provision,
    request,
)
from worksite.common.bus.consumer import Progress
from worksite.common.errors import (
    BusUnavailable,
    Conflict,
    MalformedMessage,
    PayloadTooLarge,
    Permanent,
    PermissionDenied,
    QueueFull,
    ServiceUnavailable,
)
from worksite.common.messages import SearchRequest, SearchResponse, StepProgress
from worksite.common.testing import examples
from worksite.common.testing.examples import TASK, TENANT
from worksite.common.testing.nats import start_nats

PROGRESS = StepProgress(task=TASK, tenant=TENANT, step="1-import", text="cloning")
SUBJECT = subjects.event_subject(TENANT, TASK, "builder", "1-import", "progress")


def envelope(message=PROGRESS):
    return Envelope(message.ce_type(), "builder", TENANT, TASK)


def test_an_envelope_survives_the_headers():
    sent = Envelope("t", "admin", TENANT, TASK, causation="c", deadline=examples.NOW)
    assert Envelope.from_headers(sent.headers()) == sent


@pytest.mark.parametrize("missing", ["ce-id", "ce-type", "ce-source", "ce-time", "ws-tenant", "ws-task"])
def test_a_missing_header_is_named(missing):
    headers = envelope().headers()
    del headers[missing]
    with pytest.raises(MalformedMessage, match=missing):
        Envelope.from_headers(headers)


def test_a_timestamp_that_is_none_is_malformed():
    with pytest.raises(MalformedMessage, match="timestamp"):
        Envelope.from_headers(envelope().headers() | {"ce-time": "yesterday"})


@pytest.mark.asyncio
async def test_a_published_message_is_read_back_with_envelope_and_trace(bus):
    sequence = await bus.publish(SUBJECT, PROGRESS, envelope())
    stored = await bus.last("EVENTS", SUBJECT)
    assert (stored.sequence, stored.data) == (sequence, PROGRESS.to_json())
    assert stored.headers["ce-type"] == "worksite.v1.step_progress"
    assert "Nats-Msg-Id" in stored.headers


@pytest.mark.asyncio
async def test_reading_pages_through_more_than_one_batch_in_order(bus):
    for _ in range(300):
        await bus.publish(SUBJECT, PROGRESS, envelope())
    sequences, after = [], 0
    while batch := await bus.read("EVENTS", subjects.task_events_filter(TENANT, TASK), after):
        sequences += [stored.sequence for stored in batch]
        after = sequences[-1]
    assert sequences == list(range(1, 301))


@pytest.mark.asyncio
async def test_reading_where_nothing_is_gives_nothing(bus):
    assert await bus.last("EVENTS", SUBJECT) is None
    assert await bus.read("EVENTS", "ws.v1.event.other.>", 0) == []


@pytest.mark.asyncio
async def test_the_second_publish_expecting_an_empty_subject_conflicts(bus):
    await bus.publish(SUBJECT, PROGRESS, envelope(), expected_last=0)
    with pytest.raises(Conflict):
        await bus.publish(SUBJECT, PROGRESS, envelope(), expected_last=0)


@pytest.mark.asyncio
async def test_the_same_message_id_is_stored_once(bus):
    first = await bus.publish(SUBJECT, PROGRESS, envelope(), msg_id="x")
    assert await bus.publish(SUBJECT, PROGRESS, envelope(), msg_id="x") == first


@pytest.mark.asyncio
async def test_a_tenants_full_intake_is_refused_and_others_are_not(bus):
    task = examples.submit_task()
    for _ in range(subjects.TASK_CAP_PER_TENANT):
        await bus.publish(subjects.task_subject(TENANT), task, envelope(task))
    with pytest.raises(QueueFull):
        await bus.publish(subjects.task_subject(TENANT), task, envelope(task))
    await bus.publish(subjects.task_subject("other"), task, envelope(task))


@pytest.mark.asyncio
async def test_a_payload_over_64_kib_is_refused_before_it_is_sent(bus):
    with pytest.raises(PayloadTooLarge):
        await bus.publish_raw(SUBJECT, b"x" * (64 * 1024 + 1), {})


@pytest.mark.asyncio
async def test_a_subject_without_a_stream_is_an_error_not_a_loss(bus):
    with pytest.raises(BusUnavailable):
        await bus.publish_raw("nobody.listens", b"", {})


@pytest.mark.asyncio
async def test_a_dead_server_is_reported_as_unavailable(bus, nats_server):
    nats_server.kill()
    impatient = BusSettings(bus.settings.url, "test", timeout_seconds=0.3)
    with pytest.raises(BusUnavailable):
        await Bus.connect(impatient)


@pytest.mark.asyncio
async def test_a_bus_hears_again_after_a_flush_was_given_up_while_the_server_stood_still(bus, nats_server):
    nats_server.stand_still()
    try:
        flushing = asyncio.create_task(bus.subscribed())
        await asyncio.wait({flushing}, timeout=0.2)
        flushing.cancel()
        await asyncio.wait({flushing})
    finally:
        nats_server.go_on()

    await bus.subscribed()
    assert await bus.publish(SUBJECT, PROGRESS, envelope()) == 1


@pytest.mark.asyncio
async def test_reading_without_a_connection_is_an_outage(bus):
    await bus.close()
    with pytest.raises(BusUnavailable):
        await bus.read("EVENTS", SUBJECT, after=0)


@pytest.mark.asyncio
async def test_who_is_cancelled_just_as_the_answer_comes_is_cancelled(bus, monkeypatch):
    """Python 3.11's wait_for, by which nats-py waits, would return the answer and forget the cancellation."""
    answer = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(bus.client, "request", lambda *_, **__: asyncio.wait_for(answer, 20))
    asking = asyncio.create_task(bus.request_raw("anything", b""))
    await asyncio.wait({asking}, timeout=0.05)
    answer.set_result(None)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()


@pytest.mark.asyncio
async def test_a_listener_is_woken_by_what_it_listens_to(bus):
    async with bus.listen(subjects.task_events_filter(TENANT, TASK)) as changed:
        await bus.publish(SUBJECT, PROGRESS, envelope())
        await asyncio.wait_for(changed.wait(), 20)


@pytest.mark.asyncio
async def test_provisioning_twice_changes_nothing(bus):
    await bus.publish(SUBJECT, PROGRESS, envelope())
    await provision(bus, 1 << 30)
    assert await bus.last("EVENTS", SUBJECT)


LOCKED_DOWN = """
authorization: { users: [ {user: "svc", password: "p", permissions: {
  publish: {allow: ["allowed.>"]}, subscribe: {allow: ["_INBOX_svc.>"]} }} ] }
"""


@pytest.mark.asyncio
async def test_a_forbidden_publish_fails_at_once_and_names_the_subject(tmp_path):
    with start_nats(tmp_path, LOCKED_DOWN) as server:
        bus = await Bus.connect(BusSettings(server.url, "svc", "svc", SecretStr("p"), timeout_seconds=30))
        async with asyncio.timeout(20):
            with pytest.raises(PermissionDenied, match=r"forbidden\.subject"):
                await bus.publish_raw("forbidden.subject", b"", {})
        await bus.close()


@pytest.mark.asyncio
async def test_a_wrong_password_is_refused_in_words(tmp_path):
    with start_nats(tmp_path, LOCKED_DOWN) as server, pytest.raises(PermissionDenied, match="refuses the user 'svc'"):
        await Bus.connect(BusSettings(server.url, "svc", "svc", SecretStr("wrong")))


@pytest.mark.asyncio
async def test_a_key_can_be_created_once(bus):
    store = KeyValue(bus, subjects.LEDGER)
    revision = await store.create("a.b", b"1")
    with pytest.raises(Conflict):
        await store.create("a.b", b"2")
    entry = await store.get("a.b")
    assert (entry.value, entry.revision) == (b"1", revision)


@pytest.mark.asyncio
async def test_an_update_of_an_old_revision_conflicts(bus):
    store = KeyValue(bus, subjects.LEDGER)
    first = await store.create("k", b"1")
    await store.update("k", b"2", first)
    with pytest.raises(Conflict):
        await store.update("k", b"3", first)


@pytest.mark.asyncio
async def test_a_deleted_key_is_gone_and_can_be_created_again(bus):
    store = KeyValue(bus, subjects.LEDGER)
    await store.create("k", b"1")
    await store.delete("k")
    assert await store.get("k") is None
    await store.create("k", b"2")
    assert [entry.value for entry in await store.entries("k")] == []
    assert (await store.get("k")).value == b"2"


@pytest.mark.asyncio
async def test_a_key_that_somebody_wrote_since_is_not_deleted(bus):
    store = KeyValue(bus, subjects.LEDGER)
    first = await store.create("k", b"1")
    second = await store.update("k", b"2", first)
    with pytest.raises(Conflict):
        await store.delete("k", first)
    assert (await store.get("k")).value == b"2"
    await store.delete("k", second)
    assert await store.get("k") is None


@pytest.mark.asyncio
async def test_entries_lists_one_prefix_only_or_all(bus):
    store = KeyValue(bus, subjects.TASKS)
    for key in ("a.1", "a.2", "ab.1"):
        await store.create(key, key.encode())
    assert [entry.key for entry in await store.entries("a")] == ["a.1", "a.2"]
    assert [entry.key for entry in await store.entries()] == ["a.1", "a.2", "ab.1"]


@pytest.mark.asyncio
async def test_an_endpoint_answers_a_request(bus):
    micro = await announce(bus, "rag", "0.1.0")

    async def search(query: SearchRequest) -> SearchResponse:
        return SearchResponse(results=(), reranked=False, timings_ms={query.query: 1.0})

    await answer(micro, "search", SearchRequest, search)
    reply = await request(bus, "rag", "search", SearchRequest(tenant=TENANT, query="q"), SearchResponse)
    assert reply.timings_ms == {"q": 1.0}
    await micro.stop()


@pytest.mark.asyncio
async def test_an_endpoint_that_is_away_is_unavailable(bus):
    with pytest.raises(ServiceUnavailable, match="rag does not answer"):
        await request(bus, "rag", "search", SearchRequest(tenant=TENANT, query="q"), SearchResponse)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Permanent("no such index"), Permanent),
        (ServiceUnavailable("busy"), ServiceUnavailable),
        (KeyError("bug"), ServiceUnavailable),
    ],
)
async def test_an_endpoints_error_reaches_the_caller_by_its_kind(bus, raised, expected):
    micro = await announce(bus, "rag", "0.1.0")

    async def search(_: SearchRequest) -> SearchResponse:
        raise raised

    await answer(micro, "search", SearchRequest, search)
    with pytest.raises(expected):
        await request(bus, "rag", "search", SearchRequest(tenant=TENANT, query="q"), SearchResponse)
    await micro.stop()


@pytest.mark.asyncio
async def test_a_malformed_request_is_refused_by_the_endpoint(bus):
    micro = await announce(bus, "rag", "0.1.0")
    await answer(micro, "search", SearchRequest, None)
    with pytest.raises(Permanent, match="query"):
        await request(bus, "rag", "search", SearchResponse(results=(), reranked=False, timings_ms={}), SearchResponse)
    await micro.stop()


@pytest.mark.asyncio
async def test_reading_a_stream_that_is_not_there_is_an_outage_not_an_empty_answer(bus):
    with pytest.raises(BusUnavailable):
        await bus.read("NOPE", ">", 0)
    with pytest.raises(BusUnavailable):
        await bus.last("NOPE", "x")


@pytest.mark.asyncio
@pytest.mark.parametrize("url", ["nats://h:notaport", "http://127.0.0.1", "nats://", ""])
async def test_an_address_that_is_none_is_refused_in_words(url):
    with pytest.raises(Permanent, match="no address"):
        await Bus.connect(BusSettings(url, "test"))


@pytest.mark.asyncio
async def test_more_replicas_than_servers_are_refused_in_words(bus):
    with pytest.raises(Permanent, match="refuses the streams"):
        await provision(bus, 1 << 30, replicas=3)


class RefusingJetStream:
    """Answers everything with one refusal, as nats-server words it."""

    settings = BusSettings("nats://x", "test")

    def __init__(self, refusal):
        self.refusal = refusal
        self.client = self

    def jetstream(self, timeout):
        return self

    async def stream_info(self, name):
        raise APIError(code=400, err_code=10005, description=self.refusal)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        ("no suitable peers for placement, peer offline", BusUnavailable),
        ("no suitable peers for placement, insufficient storage", Permanent),
    ],
)
async def test_a_server_of_a_cluster_that_is_away_is_an_outage_and_lacking_storage_is_not(refusal, kind):
    with pytest.raises(kind, match=refusal):
        await provision(RefusingJetStream(refusal), 1 << 30, replicas=3)


@pytest.mark.asyncio
async def test_a_consumer_that_is_gone_is_seen_as_stalled(bus, monkeypatch):
    monkeypatch.setattr(consumer, "FETCH_SECONDS", 0.3)
    stop, progress = asyncio.Event(), Progress()

    async def nothing(_):
        raise AssertionError("there is no message")

    running = asyncio.create_task(consume(bus, "WORK", "builder", nothing, concurrency=1, stop=stop, progress=progress))
    async with asyncio.timeout(30):
        while not progress.last_turn:
            await asyncio.sleep(0.01)
        await bus.jetstream.delete_consumer("WORK", "builder")
        await asyncio.sleep(0.05)
        while not progress.stalled(limit_seconds=0.9):
            await asyncio.sleep(0.01)
    stop.set()
    await running


@pytest.mark.asyncio
async def test_entries_can_be_read_newest_write_first_in_steps(bus: Bus) -> None:
    store = KeyValue(bus, subjects.TASKS)
    for n in range(40):
        await store.create(f"{'a' if n % 3 else 'b'}.{n:02}", b"")
    await store.update("a.01", b"again", 2)
    await store.delete("a.02")
    expected = ["a.01", *(f"a.{n:02}" for n in range(39, 2, -1) if n % 3)]

    batches = [[entry.key for entry in batch] async for batch in store.newest_first("a", window=4)]

    assert [key for batch in batches for key in batch] == expected
    assert len(batches[0]) <= 4
    assert [batch async for batch in store.newest_first("nobody", window=4)] == []


@pytest.mark.asyncio
async def test_the_marker_of_a_deleted_document_goes_by_itself_and_the_key_can_be_written_again(bus: Bus) -> None:
    store = KeyValue(bus, subjects.DOCUMENTS)
    revision = await store.create("acme.a", b"one")
    await store.delete("acme.a", revision, ttl_seconds=1)
    with pytest.raises(Conflict):
        await store.update("acme.a", b"two", revision)

    async with asyncio.timeout(30):
        while await bus.last("KV_documents", "$KV.documents.acme.a"):
            await asyncio.sleep(0.05)

    assert (await bus.jetstream.stream_info("KV_documents")).state.messages == 0
    with pytest.raises(Conflict):
        await store.update("acme.a", b"two", revision)
    await store.create("acme.a", b"three")
    assert (found := await store.get("acme.a")) is not None
    assert found.value == b"three"


@pytest.mark.asyncio
async def test_a_long_history_is_read_newest_first_in_batches_that_fit_into_memory(bus: Bus) -> None:
    store = KeyValue(bus, subjects.TASKS)
    for n in range(700):
        await store.create(f"{'b' if 500 <= n < 690 else 'a'}.{n:03}", b"")  # a gap, after which windows are wide
    expected = [f"a.{n:03}" for n in range(699, -1, -1) if not 500 <= n < 690]

    batches = [[entry.key for entry in batch] async for batch in store.newest_first("a", window=300)]

    assert [key for batch in batches for key in batch] == expected
    assert max(map(len, batches)) <= 256


@pytest.mark.asyncio
async def test_entries_can_be_read_in_pages(bus: Bus) -> None:
    store = KeyValue(bus, subjects.TASKS)
    for n in range(6):
        await store.create(f"a.{n}", b"")
    await store.delete("a.1")

    first = await store.entries("a", limit=2)
    rest = await store.entries("a", after=first[-1].revision, limit=10)

    assert [entry.key for entry in first] == ["a.0", "a.2"]
    assert [entry.key for entry in rest] == ["a.3", "a.4", "a.5"]
    assert first[0].written_at <= first[1].written_at
