"""Redrive on a real bus: a letter's message is handled again where that leads to something, and only once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from worksite.admin.handlers import Orchestrator
from worksite.admin.redrive import Redriver
from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, Envelope, KeyValue
from worksite.common.bus.connection import Stored
from worksite.common.bus.envelope import MSG_ID
from worksite.common.dead_letters import bury, opened
from worksite.common.ledger import MAX_FAILURES, LedgerEntry
from worksite.common.messages import DeadLetter, ImportProject, Message, RedriveLetter, RedriveOutcome, TimerDue
from worksite.common.messages.records import REDRIVE_COUNT
from worksite.common.worker import Worker

pytestmark = pytest.mark.asyncio

TENANT = "acme"
WORK = subjects.work_subject("builder", TENANT)


class Undertaker:
    """Buries messages as services do, and asks for their redrive."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.redriver = Redriver(bus, Orchestrator(bus))

    async def bury(self, service: str, stream: str, subject: str, data: bytes, headers: dict[str, str]) -> int:
        """Returns the letter's sequence."""
        delivery = Delivery(subject, data, headers, stream, 1, 50, None)  # pyright: ignore[reportArgumentType]
        await bury(self.bus, service, delivery, "given up", terminate=False)
        return (await self.letters(service))[-1].sequence

    async def bury_message(self, stream: str, subject: str, message: Any) -> int:
        envelope = Envelope(message.ce_type(), "gateway", message.tenant, message.task)
        return await self.bury("admin", stream, subject, message.to_json(), envelope.headers())

    async def bury_first_work(self) -> int:
        """What waits for the builder dies there."""
        [stored] = await self.work()
        await self.bus.jetstream.purge_stream("WORK")
        return await self.bury("builder", "WORK", stored.subject, stored.data, stored.headers)

    async def redrive(self, sequence: int, tenant: str = TENANT) -> RedriveOutcome:
        return await self.redriver.redrive(RedriveLetter(tenant=tenant, sequence=sequence))

    async def letters(self, service: str) -> list[Stored]:
        return await self.bus.read("DEAD", subjects.dead_subject(service, TENANT), 0)

    async def work(self) -> list[Stored]:
        return await self.bus.read("WORK", WORK, 0)


@pytest.fixture
def undertaker(bus: Bus) -> Undertaker:
    return Undertaker(bus)


async def opened_task(undertaker: Undertaker, scene: Any) -> Any:
    """A task whose import waits for the builder."""
    task = scene.samples.submission()
    letter = await undertaker.bury_message("TASKS", subjects.task_subject(TENANT), task)
    assert (await undertaker.redrive(letter)).redriven
    return task


# -- admin's own letters


async def test_a_submission_that_admin_gave_up_is_taken_up_once_however_often_it_is_redriven(
    scene: Any, undertaker: Undertaker
) -> None:
    task = scene.samples.submission()
    letter = await undertaker.bury_message("TASKS", subjects.task_subject(TENANT), task)

    async with scene.overheard("ws.v1.work.>") as published:
        outcomes = [await undertaker.redrive(letter) for _ in range(3)]

    assert [outcome.redriven for outcome in outcomes] == [True] * 3
    assert [state.step for state in await scene.states(task)] == ["1-import"]
    assert len({message.headers[MSG_ID] for message in published}) == 1, "the stream drops copies"
    assert len(published) == 3, "a redrive after a crash publishes what the crash kept back"
    assert len(await undertaker.work()) == 1


async def test_an_event_that_admin_gave_up_moves_its_task_on_and_is_not_published_again(
    scene: Any, undertaker: Undertaker, bus: Bus
) -> None:
    task = await opened_task(undertaker, scene)
    command = ImportProject.consume((await undertaker.work())[0].data)
    result = scene.samples.result(command)
    subject = subjects.event_subject(TENANT, task.task, "builder", command.step, "result")
    letter = await undertaker.bury_message("EVENTS", subject, result)

    assert (await undertaker.redrive(letter)).redriven

    assert [state.step for state in await scene.states(task)] == ["1-import", "2-design"]
    assert await bus.read("EVENTS", subject, 0) == []


async def test_a_timer_that_admin_gave_up_is_a_letter_of_its_tenant_and_ends_the_task_when_redriven(
    scene: Any, undertaker: Undertaker
) -> None:
    task = await opened_task(undertaker, scene)
    [state] = await scene.states(task)
    due = TimerDue(task=task.task, tenant=TENANT, purpose="deadline", at=state.deadline)
    envelope = Envelope(due.ce_type(), "admin", TENANT, task.task, time=state.deadline)
    subject = subjects.timer_subject("due", task.task, "deadline")
    letter = await undertaker.bury("admin", "TIMERS", subject, due.to_json(), envelope.headers())

    assert (await undertaker.redrive(letter)).redriven

    assert (await scene.states(task))[-1].status != "running"


async def test_what_admin_cannot_read_is_refused_with_the_reason(undertaker: Undertaker) -> None:
    letter = await undertaker.bury("admin", "TASKS", subjects.task_subject(TENANT), b"{", {})

    outcome = await undertaker.redrive(letter)

    assert not outcome.redriven
    assert "still cannot read it: header ce-id is missing" in outcome.reason


async def test_a_forged_event_stays_refused_although_its_letter_is_genuine(scene: Any, undertaker: Undertaker) -> None:
    task = scene.samples.submission()
    headers = Envelope(task.ce_type(), "gateway", TENANT, task.task).headers() | {"Nats-Sequence": "3"}
    letter = await undertaker.bury("admin", "TASKS", subjects.task_subject(TENANT), task.to_json(), headers)

    outcome = await undertaker.redrive(letter)

    assert "relayed by the server" in outcome.reason
    assert await scene.states(task) == []


async def test_an_event_before_its_task_is_refused_with_the_reason(scene: Any, undertaker: Undertaker) -> None:
    task = scene.samples.submission()
    cancel = subjects.event_subject(TENANT, task.task, "gateway", "task", "input")
    letter = await undertaker.bury_message("EVENTS", cancel, scene.samples.input_given(task))

    assert "came before the state" in (await undertaker.redrive(letter)).reason


# -- agents' letters


async def test_a_command_that_its_task_waits_for_is_sent_again_as_the_same_event(
    scene: Any, undertaker: Undertaker
) -> None:
    await opened_task(undertaker, scene)
    [before] = await undertaker.work()
    letter = await undertaker.bury_first_work()

    assert (await undertaker.redrive(letter)).redriven
    assert (await undertaker.redrive(letter)).redriven

    [after] = await undertaker.work()
    assert (after.data, after.subject) == (before.data, before.subject)
    assert after.headers["ce-id"] == before.headers["ce-id"]
    assert after.headers[MSG_ID] != before.headers[MSG_ID]
    assert after.headers[REDRIVE_COUNT] == "1"


async def test_a_redriven_command_finishes_its_task(scene: Any, undertaker: Undertaker) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    task = await scene.submit(scene.samples.submission())
    await scene.until(task, lambda state: state.step == "1-import")
    letter = await undertaker.bury_first_work()

    await undertaker.redrive(letter)
    await undertaker.redrive(letter)
    scene.start_agents()

    assert (await scene.ended(task)).reason == "Passed in round 1."
    assert set(scene.executed.values()) == {1}


async def test_a_step_that_was_given_up_is_not_redriven_because_its_task_has_failed(
    scene: Any, undertaker: Undertaker, bus: Bus
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("no")

    scene.start_admin(Orchestrator(bus).handle)
    task = scene.samples.submission()
    almost = LedgerEntry(status="claimed", holder="x", failures=MAX_FAILURES - 1)
    await KeyValue(bus, subjects.LEDGER).create(f"builder.{task.task}.1-import", almost.model_dump_json().encode())
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(bus, "builder", {ImportProject: fails}).run(stop, 0.1))  # pyright: ignore
    await scene.submit(task)
    assert (await scene.ended(task)).status == "failed"
    [letter] = await undertaker.letters("builder")

    outcome = await undertaker.redrive(letter.sequence)

    assert not outcome.redriven
    assert outcome.reason == "its task is failed: submit the request again as a new task"
    assert await undertaker.work() == []
    stop.set()
    await worker


async def test_a_command_whose_step_is_over_is_refused(scene: Any, undertaker: Undertaker) -> None:
    await opened_task(undertaker, scene)
    command = ImportProject.consume((await undertaker.work())[0].data)
    letter = await undertaker.bury_first_work()
    result = subjects.event_subject(TENANT, command.task, "builder", command.step, "result")
    await undertaker.redrive(await undertaker.bury_message("EVENTS", result, scene.samples.result(command)))

    assert "does not wait for step 1-import" in (await undertaker.redrive(letter)).reason


async def test_a_command_of_a_task_that_is_not_known_is_refused(scene: Any, undertaker: Undertaker) -> None:
    command = await a_command(undertaker, scene)
    unknown = command.model_copy(update={"task": "0" * 32})

    letter = await undertaker.bury("builder", "WORK", WORK, unknown.to_json(), headers_of(unknown))

    assert "is not known" in (await undertaker.redrive(letter)).reason


async def test_what_no_agent_can_read_dies_again_and_says_how_often_it_was_redriven(
    scene: Any, undertaker: Undertaker, bus: Bus
) -> None:
    scene.start_agents()
    await bus.publish_raw(WORK, b"{", {MSG_ID: "poison"})
    await letters_of_the_builder(undertaker, 1)

    for number in (1, 2):
        assert (await undertaker.redrive((await undertaker.letters("builder"))[-1].sequence)).redriven
        await letters_of_the_builder(undertaker, number + 1)

    letters = [DeadLetter.consume(stored.data) for stored in await undertaker.letters("builder")]
    assert [letter.redrive_count for letter in letters] == [0, 1, 2]
    assert {letter.body for letter in letters} == {b"{"}


async def test_a_hint_for_the_rag_engine_is_sent_again(undertaker: Undertaker, bus: Bus) -> None:
    subject = subjects.work_subject("rag", TENANT)
    letter = await undertaker.bury("rag", "WORK", subject, b"{}", {})

    assert (await undertaker.redrive(letter)).redriven
    assert len(await bus.read("WORK", subject, 0)) == 1


# -- what is no letter of theirs


async def test_the_letters_of_other_tenants_are_unknown(undertaker: Undertaker) -> None:
    letter = await undertaker.bury("builder", "WORK", WORK, b"{", {})

    assert (await undertaker.redrive(letter, tenant="globex")).reason == "there is no such letter"


async def test_an_agent_can_bury_only_what_came_to_itself(undertaker: Undertaker, bus: Bus) -> None:
    await undertaker.bury("builder", "WORK", subjects.work_subject("validator", TENANT), b"{", {})
    [foreign] = await undertaker.letters("builder")
    forged = DeadLetter.consume(foreign.data).model_copy(update={"service": "admin"})
    forged_at = await bus.publish_raw(foreign.subject, forged.to_json(), {MSG_ID: "forged"})

    assert opened((await undertaker.letters("builder"))[-1]) is None
    assert (await undertaker.redrive(forged_at)).reason == "there is no such letter"
    assert "did not come on ws.v1.work.builder.acme" in (await undertaker.redrive(foreign.sequence)).reason


async def a_command(undertaker: Undertaker, scene: Any) -> ImportProject:
    await opened_task(undertaker, scene)
    return ImportProject.consume((await undertaker.work())[0].data)


def headers_of(message: Message) -> dict[str, str]:
    return Envelope(message.ce_type(), "admin", TENANT, message.task).headers()  # pyright: ignore


async def letters_of_the_builder(undertaker: Undertaker, count: int) -> None:
    async with asyncio.timeout(30):
        while len(await undertaker.letters("builder")) < count:
            await asyncio.sleep(0.01)
