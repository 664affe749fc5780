"""One command in, one result out, exactly one effect: every crash window that a test can open."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common import worker as worker_module
from worksite.common.bus import Bus, BusSettings, Envelope, consumer
from worksite.common.errors import BusUnavailable, Fenced, Retryable, StepRefused, StepWaits
from worksite.common.ledger import MAX_FAILURES, Claim, Ledger
from worksite.common.messages import Answer, BuildChange, DeadLetter, ImportProject, Question, StepResult
from worksite.common.testing import examples
from worksite.common.testing.examples import TASK, TENANT
from worksite.common.worker import Reply, Worker

IMPORT = examples.commands()[0]
RESULT_SUBJECT = subjects.event_subject(TENANT, TASK, "builder", IMPORT.step, "result")
PROGRESS_SUBJECT = subjects.event_subject(TENANT, TASK, "builder", IMPORT.step, "progress")


@pytest.fixture(autouse=True)
def quick_hand_backs(monkeypatch):
    """Back-off in milliseconds, so that redelivery does not make the tests wait."""
    monkeypatch.setattr(consumer, "_BACKOFF_FIRST", 0.005)
    monkeypatch.setattr(consumer, "_BACKOFF_LAST", 0.02)


class Calls:
    """A handler that does as told, call by call, and counts."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.count = 0

    async def __call__(self, command, context):
        self.count += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return await outcome(context) if callable(outcome) else outcome


DONE = Reply(examples.imported_project())


async def send(bus, command=IMPORT, msg_id=None):
    envelope = Envelope(command.ce_type(), "admin", command.tenant, command.task)
    await bus.publish(subjects.work_subject("builder", TENANT), command, envelope, msg_id=msg_id)


async def published(bus, subject=RESULT_SUBJECT, stream="EVENTS"):
    """The last message on a subject, as soon as there is one."""
    async with asyncio.timeout(10), bus.listen(subject) as changed:
        while (stored := await bus.last(stream, subject)) is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), 0.02)
        return stored


async def results(bus):
    return await bus.read("EVENTS", RESULT_SUBJECT, 0)


async def drained(bus):
    """Until WORK is empty: every delivery has been ended."""
    async with asyncio.timeout(10):
        while (await bus.jetstream.stream_info("WORK")).state.messages:
            await asyncio.sleep(0.005)


@pytest_asyncio.fixture
async def work(bus):
    """Starts workers with a given handler; all are stopped at the end."""
    stop, tasks = asyncio.Event(), []

    def start(handler, connection=bus):
        worker = Worker(connection, "builder", {ImportProject: handler})
        tasks.append(asyncio.create_task(worker.run(stop, grace_seconds=1)))
        return worker

    yield start
    stop.set()
    await asyncio.gather(*tasks)


@pytest.mark.asyncio
async def test_a_command_leads_to_one_result(bus, work):
    work(Calls(DONE))
    await send(bus)
    result = StepResult.consume((await published(bus)).data)
    assert (result.reply.action, result.reply.agent, result.reply.status) == ("import", "builder", "ok")
    assert result.reply.data == examples.imported_project()
    await drained(bus)


@pytest.mark.asyncio
async def test_a_step_commanded_twice_is_done_once(bus, work):
    calls = Calls(DONE)
    work(calls)
    await send(bus, msg_id="a")
    await published(bus)
    await send(bus, msg_id="b")
    await drained(bus)
    assert calls.count == 1
    assert len(await results(bus)) == 1


@pytest.mark.asyncio
async def test_a_crash_between_record_and_publish_is_mended_without_doing_the_step_again(bus, work):
    ledger = Ledger(bus, "builder")
    claim = await ledger.claim(TASK, IMPORT.step, "crashed")
    recorded = examples.step_result(examples.imported_project(), step=IMPORT.step, agent="builder")
    await ledger.record(claim, recorded)
    calls = Calls(DONE)
    work(calls)
    await send(bus)
    assert StepResult.consume((await published(bus)).data) == recorded
    assert calls.count == 0


@pytest.mark.asyncio
async def test_a_crash_between_publish_and_ack_publishes_nothing_more(bus, work):
    ledger = Ledger(bus, "builder")
    recorded = examples.step_result(examples.imported_project(), step=IMPORT.step, agent="builder")
    await ledger.record(await ledger.claim(TASK, IMPORT.step, "crashed"), recorded)
    await bus.publish(RESULT_SUBJECT, recorded, Envelope(recorded.ce_type(), "builder", TENANT, TASK))
    work(Calls(DONE))
    await send(bus)
    await drained(bus)
    assert len(await results(bus)) == 1


@pytest.mark.asyncio
async def test_a_worker_whose_step_was_taken_over_records_nothing(bus):
    ledger = Ledger(bus, "builder")
    stale = await ledger.claim(TASK, IMPORT.step, "stale")
    await ledger.claim(TASK, IMPORT.step, "new")
    assert not await ledger.holds(stale)
    with pytest.raises(Fenced):
        await ledger.record(stale, examples.step_result(examples.imported_project(), step=IMPORT.step, agent="builder"))


@pytest.mark.asyncio
async def test_a_running_handler_is_stopped_when_its_step_is_cancelled(bus, work, monkeypatch):
    monkeypatch.setattr(subjects, "HEARTBEAT_SECONDS", 0.02)
    started, stopped = asyncio.Event(), asyncio.Event()

    async def endless(_):
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    work(Calls(endless))
    await send(bus)
    await asyncio.wait_for(started.wait(), 5)
    await Ledger(bus, "admin").cancel("builder", TASK, IMPORT.step)
    await asyncio.wait_for(stopped.wait(), 5)
    assert await results(bus) == []


@pytest.mark.asyncio
async def test_a_step_cancelled_before_it_started_is_not_done(bus, work):
    await Ledger(bus, "admin").cancel("builder", TASK, IMPORT.step)
    calls = Calls(DONE)
    work(calls)
    await send(bus)
    await drained(bus)
    assert (calls.count, await results(bus)) == (0, [])


@pytest.mark.asyncio
async def test_cancelling_a_finished_step_changes_nothing(bus):
    ledger = Ledger(bus, "builder")
    recorded = examples.step_result(examples.imported_project(), step=IMPORT.step, agent="builder")
    await ledger.record(await ledger.claim(TASK, IMPORT.step, "a"), recorded)
    await Ledger(bus, "admin").cancel("builder", TASK, IMPORT.step)
    assert await ledger.claim(TASK, IMPORT.step, "b") == recorded


@pytest.mark.asyncio
async def test_a_refusal_is_a_result_with_its_reason(bus, work):
    work(Calls(StepRefused("unknown_ref", "there is no ref 'nope'")))
    await send(bus)
    reply = StepResult.consume((await published(bus)).data).reply
    assert (reply.status, reply.data.code) == ("refused", "unknown_ref")


@pytest.mark.asyncio
async def test_what_somebody_can_mend_is_asked_and_no_failure(bus, work):
    work(Calls(StepWaits("no_key", "the key is wrong", "set another")))
    await send(bus)
    reply = StepResult.consume((await published(bus)).data).reply
    assert (reply.status, reply.data) == ("needs_input", Question(reason="the key is wrong", hint="set another"))


@pytest.mark.asyncio
async def test_needs_input_is_a_result(bus, work):
    work(Calls(Reply(Question(reason="too much", hint="ask for less"), "needs_input")))
    await send(bus)
    assert StepResult.consume((await published(bus)).data).reply.status == "needs_input"


@pytest.mark.asyncio
async def test_outages_do_not_count_as_failures(bus, work):
    outages = [Retryable("provider away")] * (MAX_FAILURES + 2)
    calls = Calls(*outages, DONE)
    work(calls)
    await send(bus)
    assert StepResult.consume((await published(bus)).data).reply.status == "ok"
    assert calls.count == len(outages) + 1


@pytest.mark.asyncio
async def test_a_handler_that_always_fails_ends_the_step_after_five_times_with_a_dead_letter(bus, work):
    calls = Calls(ValueError("broken"))
    work(calls)
    await send(bus)
    reply = StepResult.consume((await published(bus)).data).reply
    assert (reply.status, calls.count) == ("failed", MAX_FAILURES)
    letter = DeadLetter.consume((await published(bus, subjects.dead_subject("builder", TENANT), "DEAD")).data)
    assert "5 failures, last: broken" in letter.reason
    await drained(bus)


@pytest.mark.asyncio
async def test_a_handler_that_fails_twice_and_then_works_gives_one_good_result(bus, work):
    calls = Calls(ValueError("1"), ValueError("2"), DONE)
    work(calls)
    await send(bus)
    assert StepResult.consume((await published(bus)).data).reply.status == "ok"
    assert calls.count == 3


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("data", "change", "reason"),
    [
        (b"{", {}, "Invalid JSON"),
        (b"{}", {}, "Field required"),
        (IMPORT.to_json(), {"ce-id": None}, "ce-id is missing"),
        (IMPORT.to_json(), {"ce-type": "worksite.v1.step_result"}, "is not a command"),
        (IMPORT.to_json(), {"ws-task": "0" * 32}, "different tasks"),
    ],
)
async def test_a_poison_message_is_dead_lettered_with_its_reason_and_never_delivered_again(
    bus, work, data, change, reason
):
    calls = Calls(DONE)
    work(calls)
    headers = Envelope(IMPORT.ce_type(), "admin", TENANT, TASK).headers() | change
    await bus.publish_raw(subjects.work_subject("builder", TENANT), data, {k: v for k, v in headers.items() if v})
    letter = DeadLetter.consume((await published(bus, subjects.dead_subject("builder", TENANT), "DEAD")).data)
    assert reason in letter.reason
    await drained(bus)
    assert calls.count == 0


@pytest.mark.asyncio
@pytest.mark.parametrize("ce_type", ["worksite.v9.from_the_future", BuildChange.ce_type()])
async def test_a_type_this_worker_does_not_know_is_handed_back_not_dead_lettered(bus, work, monkeypatch, ce_type):
    monkeypatch.setattr(worker_module, "UNKNOWN_TYPE_DELAY_SECONDS", 0.01)
    command = examples.commands()[2] if ce_type == BuildChange.ce_type() else IMPORT
    work(Calls(DONE))
    headers = Envelope(ce_type, "admin", TENANT, TASK).headers()
    await bus.publish_raw(subjects.work_subject("builder", TENANT), command.to_json(), headers)
    async with asyncio.timeout(5):
        while (await bus.jetstream.consumer_info("WORK", "builder")).num_redelivered == 0:
            await asyncio.sleep(0.005)
    assert await bus.last("DEAD", subjects.dead_subject("builder", TENANT)) is None


@pytest.mark.asyncio
async def test_progress_lines_are_events_of_the_step(bus, work):
    async def chatty(context):
        await context.progress("cloning")
        return DONE

    work(Calls(chatty))
    await send(bus)
    assert b"cloning" in (await published(bus, PROGRESS_SUBJECT)).data


@pytest.mark.asyncio
async def test_stopping_hands_back_what_cannot_be_finished_and_another_worker_takes_it(bus):
    started, stop = asyncio.Event(), asyncio.Event()

    async def slow(_):
        started.set()
        await asyncio.Event().wait()

    first = Worker(bus, "builder", {ImportProject: Calls(slow)})
    running = asyncio.create_task(first.run(stop, grace_seconds=0.05))
    await send(bus)
    await asyncio.wait_for(started.wait(), 5)
    stop.set()
    await asyncio.wait_for(running, 5)

    stop = asyncio.Event()
    second = Worker(bus, "builder", {ImportProject: Calls(DONE)})
    running = asyncio.create_task(second.run(stop, grace_seconds=1))
    assert StepResult.consume((await published(bus)).data).reply.status == "ok"
    stop.set()
    await running


@pytest.mark.asyncio
async def test_a_worker_goes_on_after_the_server_was_killed_and_restarted(nats_server, bus, work):
    work(Calls(DONE))
    nats_server.kill()
    nats_server.start()
    fresh = await Bus.connect(BusSettings(nats_server.url, "fresh"))
    await send(fresh)
    assert await published(fresh)
    await fresh.close()


@pytest.mark.asyncio
async def test_a_result_that_cannot_be_published_is_not_acked_away(bus, monkeypatch):
    """The effect is recorded, the bus refuses once: the redelivery publishes it."""
    refused = []

    class Refusing(Bus):
        async def publish(self, subject, *args, **kwargs):
            if subject == RESULT_SUBJECT and not refused:
                refused.append(subject)
                raise BusUnavailable("outage")
            return await super().publish(subject, *args, **kwargs)

    flaky = Refusing(bus.client, bus.settings, bus._denied)
    calls, stop = Calls(DONE), asyncio.Event()
    running = asyncio.create_task(Worker(flaky, "builder", {ImportProject: calls}).run(stop, grace_seconds=1))
    await send(bus)
    assert await published(bus)
    await drained(bus)
    assert (calls.count, refused) == (1, [RESULT_SUBJECT])
    stop.set()
    await running


@pytest.mark.asyncio
async def test_two_deliveries_racing_for_one_step_yield_one_winner(bus):
    ledger = Ledger(bus, "builder")
    claims = await asyncio.gather(*(ledger.claim(TASK, IMPORT.step, f"h{i}") for i in range(8)))
    assert all(isinstance(claim, Claim) for claim in claims)
    assert sum([await ledger.holds(claim) for claim in claims]) == 1


@pytest.mark.asyncio
async def test_a_command_that_the_server_relayed_is_dead_lettered(bus, work):
    """A direct get may name a stream's subject as its reply: its answer must not count as anybody's word."""
    calls = Calls(DONE)
    work(calls)
    headers = Envelope(IMPORT.ce_type(), "admin", TENANT, TASK).headers()
    planted = "ws.v1.event.acme.t.architect.task.progress"
    await bus.publish_raw(planted, IMPORT.to_json(), headers)
    await bus.client.publish(
        f"$JS.API.DIRECT.GET.EVENTS.{planted}", b"", reply=subjects.work_subject("builder", TENANT)
    )
    letter = DeadLetter.consume((await published(bus, subjects.dead_subject("builder", TENANT), "DEAD")).data)
    assert "relayed" in letter.reason
    assert calls.count == 0


@pytest.mark.asyncio
async def test_a_foreign_message_on_the_result_subject_does_not_swallow_the_result(bus, work):
    await bus.publish_raw(RESULT_SUBJECT, b"planted", {})
    work(Calls(DONE))
    await send(bus)
    await drained(bus)
    assert StepResult.consume((await bus.last("EVENTS", RESULT_SUBJECT)).data).reply.status == "ok"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "outcome",
    [
        Reply(Answer(text="x" * 70_000, citations=(), engine="search")),
        StepRefused("big", "x" * 70_000),
        ValueError("x" * 70_000),
    ],
)
async def test_a_result_that_fits_no_message_still_ends_the_step(bus, work, outcome):
    work(Calls(outcome))
    await send(bus)
    reply = StepResult.consume((await published(bus)).data).reply
    assert reply.status in {"failed", "refused"}
    await drained(bus)


@pytest.mark.asyncio
async def test_a_step_past_its_deadline_is_not_started(bus, work):
    calls = Calls(DONE)
    work(calls)
    await send(bus, IMPORT.model_copy(update={"deadline": examples.NOW.replace(year=2000)}))
    reply = StepResult.consume((await published(bus)).data).reply
    assert (reply.status, reply.data.code, calls.count) == ("refused", "deadline", 0)


@pytest.mark.asyncio
async def test_a_handler_is_stopped_at_the_deadline(bus, work):
    stopped = asyncio.Event()

    async def endless(_):
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    work(Calls(endless))
    await send(bus, IMPORT.model_copy(update={"deadline": datetime.now(UTC) + timedelta(seconds=0.2)}))
    assert StepResult.consume((await published(bus)).data).reply.data.code == "deadline"
    assert stopped.is_set()


@pytest.mark.asyncio
async def test_a_handler_that_cancels_itself_is_a_counted_failure_and_the_worker_goes_on(bus, work):
    async def cancelled(_):
        raise asyncio.CancelledError

    calls = Calls(cancelled)
    work(calls)
    await send(bus)
    assert StepResult.consume((await published(bus)).data).reply.status == "failed"
    assert calls.count == MAX_FAILURES


@pytest.mark.asyncio
async def test_more_hand_backs_than_any_limit_lose_nothing(bus, work):
    calls = Calls(*[Retryable("away")] * 60, DONE)
    work(calls)
    await send(bus)
    assert StepResult.consume((await published(bus)).data).reply.status == "ok"


@pytest.mark.asyncio
async def test_a_delivery_whose_handler_lets_an_error_through_is_handed_back(bus):
    await send(bus)
    stop, attempts = asyncio.Event(), []

    async def handle(delivery):
        attempts.append(delivery.attempt)
        if len(attempts) == 1:
            raise RuntimeError("a fault of ours")
        await delivery.ack()
        stop.set()

    async with asyncio.timeout(10):
        await consumer.consume(bus, "WORK", "builder", handle, concurrency=1, stop=stop)
    assert attempts == [1, 2]


@pytest.mark.asyncio
async def test_an_ack_that_the_server_does_not_confirm_is_an_outage(bus, nats_server):
    await send(bus)
    stop, seen = asyncio.Event(), []

    async def handle(delivery):
        nats_server.kill()
        try:
            await delivery.ack()
        except BusUnavailable as error:
            seen.append(error)
        stop.set()

    async with asyncio.timeout(15):
        await consumer.consume(bus, "WORK", "builder", handle, concurrency=1, stop=stop)
    assert len(seen) == 1
