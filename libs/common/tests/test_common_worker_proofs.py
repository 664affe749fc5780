"""A worker that was away too long has no effect, a stop counts for nothing, and five failures are five."""

import asyncio

import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, Envelope, KeyValue, consumer
from worksite.common.errors import Retryable
from worksite.common.ids import new_id
from worksite.common.ledger import MAX_FAILURES, LedgerEntry
from worksite.common.messages import DeadLetter, ImportProject, StepResult
from worksite.common.testing import examples
from worksite.common.testing.examples import TASK, TENANT
from worksite.common.worker import Reply, Worker

IMPORT = examples.commands()[0]
RESULT = subjects.event_subject(TENANT, TASK, "builder", IMPORT.step, "result")
MAKERS = {by: f"{n:040x}" for n, by in enumerate(("first", "second", "stale", "fresh", "late", "at last"))}
LEDGER = f"$KV.ledger.builder.{TASK}.{IMPORT.step}"


@pytest.fixture(autouse=True)
def quick_hand_backs(monkeypatch):
    """Back-off in milliseconds, so that redelivery does not make the tests wait."""
    monkeypatch.setattr(consumer, "_BACKOFF_FIRST", 0.005)
    monkeypatch.setattr(consumer, "_BACKOFF_LAST", 0.02)


class Paused(Bus):
    """A bus whose process stands still just before its n-th write to one subject, until it may go on."""

    def __init__(self, bus, subject, nth):
        super().__init__(bus.client, bus.settings, bus._denied)
        self.subject, self.left = subject, nth
        self.stands, self.go_on = asyncio.Event(), asyncio.Event()

    async def publish_raw(self, subject, *args, **kwargs):
        self.left -= subject == self.subject
        if subject == self.subject and self.left == 0:
            self.stands.set()
            await self.go_on.wait()
        return await super().publish_raw(subject, *args, **kwargs)


def handler(outcome, calls):
    """Counts, then does as told: returns a reply, raises an error, or awaits what it is given."""

    async def handle(command, context):
        calls.append(command.task)
        told = outcome(command) if callable(outcome) else outcome
        if isinstance(told, Exception):
            raise told
        return await told if asyncio.iscoroutine(told) else told

    return handle


def importing(bus, outcome, calls, **options):
    return Worker(bus, "builder", {ImportProject: handler(outcome, calls)}, **options)


def imported(by):
    """A good result that tells who made it."""
    return Reply(examples.imported_project().model_copy(update={"base_sha": MAKERS[by]}))


async def send(bus, command=IMPORT):
    envelope = Envelope(command.ce_type(), "admin", command.tenant, command.task)
    await bus.publish(subjects.work_subject("builder", command.tenant), command, envelope)


async def delivered(bus):
    """The next command, with nobody who keeps it alive: as a process has it that then stands still."""
    subscription = await bus.jetstream.pull_subscribe_bind("builder", "WORK")
    try:
        return Delivery.of((await subscription.fetch(1, timeout=10))[0])
    finally:
        await subscription.unsubscribe()


async def drained(bus):
    async with asyncio.timeout(60):
        while (await bus.jetstream.stream_info("WORK")).state.messages:
            await asyncio.sleep(0.01)


async def worked_off(bus, worker):
    """Lets a worker run until nothing waits any more."""
    stop = asyncio.Event()
    running = asyncio.create_task(worker.run(stop, grace_seconds=1))
    await drained(bus)
    stop.set()
    await running


async def entry(bus, task=TASK):
    found = await KeyValue(bus, subjects.LEDGER).get(f"builder.{task}.{IMPORT.step}")
    return LedgerEntry.model_validate_json(found.value)


async def results(bus, subject=RESULT):
    return [StepResult.consume(stored.data).reply.data for stored in await bus.read("EVENTS", subject, 0)]


async def letters(bus):
    stored = await bus.read("DEAD", subjects.dead_subject("builder", "*"), 0)
    return [DeadLetter.consume(letter.data) for letter in stored]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("subject", "nth", "outcome", "winner"),
    [
        (LEDGER, 2, imported("stale"), "fresh"),  # between the handler and its record
        (LEDGER, 2, ValueError("stale"), "fresh"),  # between a failure and its count
        (RESULT, 1, imported("stale"), "stale"),  # between the record and its publication
    ],
)
async def test_a_worker_revived_after_its_step_was_taken_over_has_no_effect(bus, subject, nth, outcome, winner):
    paused = Paused(bus, subject, nth)
    stale_calls, fresh_calls = [], []
    await send(bus)
    reviving = asyncio.create_task(importing(paused, outcome, stale_calls).handle(await delivered(bus)))
    await asyncio.wait_for(paused.stands.wait(), 20)

    await send(bus)  # as the redelivery would come after ack_wait
    await importing(bus, imported("fresh"), fresh_calls).handle(await delivered(bus))
    before = await entry(bus)
    paused.go_on.set()
    await asyncio.wait_for(reviving, 20)

    assert [data.base_sha for data in await results(bus)] == [MAKERS[winner]]
    assert (await entry(bus)) == before
    assert (before.status, before.failures, before.result.reply.data.base_sha) == ("done", 0, MAKERS[winner])
    assert (len(stale_calls), len(fresh_calls)) == (1, 1 if winner == "fresh" else 0)
    assert await letters(bus) == []


@pytest.mark.asyncio
async def test_a_worker_stopped_amid_many_deliveries_finishes_or_hands_back_and_none_counts_as_a_failure(bus):
    commands = [IMPORT.model_copy(update={"task": new_id()}) for _ in range(24)]
    for command in commands:
        await send(bus, command)
    stuck, enough, stop, calls = {command.task for command in commands[::3]}, asyncio.Event(), asyncio.Event(), []

    async def never():
        if len(calls) > 6:
            enough.set()
        await asyncio.Event().wait()

    first = importing(bus, lambda c: never() if c.task in stuck else imported("first"), calls, concurrency=4)
    running = asyncio.create_task(first.run(stop, grace_seconds=0.1))
    await asyncio.wait_for(enough.wait(), 30)
    stop.set()
    await asyncio.wait_for(running, 30)
    seen = len(calls)
    assert 6 < seen < len(commands)

    await worked_off(bus, importing(bus, imported("second"), calls, concurrency=4))

    for command in commands:
        subject = subjects.event_subject(TENANT, command.task, "builder", command.step, "result")
        [data] = await results(bus, subject)
        found = await entry(bus, command.task)
        assert (found.status, found.failures, found.last_error) == ("done", 0, None)
        assert (
            data.base_sha == MAKERS["first" if command.task in calls[:seen] and command.task not in stuck else "second"]
        )
    assert await letters(bus) == []


@pytest.mark.asyncio
async def test_five_failures_are_one_dead_letter_and_one_failed_result_however_many_hand_backs_lie_between(bus):
    outcomes = [error for n in range(MAX_FAILURES) for error in (Retryable("away"), Retryable("away"), ValueError(n))]
    left, calls = list(outcomes), []
    await send(bus)
    await worked_off(bus, importing(bus, lambda _: left.pop(0), calls))

    assert (len(calls), left) == (len(outcomes), [])
    [problem] = await results(bus)
    assert (problem.code, f"failed {MAX_FAILURES} times" in problem.detail) == ("failed", True)
    [letter] = await letters(bus)
    assert letter.reason == f"{MAX_FAILURES} failures, last: {MAX_FAILURES - 1}"
    await send(bus)
    await worked_off(bus, importing(bus, imported("late"), calls))
    assert (len(calls), len(await results(bus)), len(await letters(bus))) == (len(outcomes), 1, 1)


@pytest.mark.asyncio
async def test_a_failure_less_than_five_and_any_number_of_hand_backs_are_no_end(bus):
    errors = [ValueError(n) for n in range(MAX_FAILURES - 1)] + [Retryable("away")] * 12
    outcomes, calls = [*errors, imported("at last")], []
    await send(bus)
    await worked_off(bus, importing(bus, lambda _: outcomes.pop(0), calls))

    assert [data.base_sha for data in await results(bus)] == [MAKERS["at last"]]
    assert (await entry(bus)).failures == MAX_FAILURES - 1
    assert await letters(bus) == []
