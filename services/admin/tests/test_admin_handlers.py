"""The shell on a real bus with fake agents: what happens, and what is refused."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY
from worksite.admin.domain.events import Event
from worksite.admin.handlers import MAX_FAULTS, Orchestrator
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, KeyValue
from worksite.common.errors import Conflict
from worksite.common.ledger import LedgerEntry
from worksite.common.messages import (
    AgentReply,
    Answer,
    StepProgress,
    TaskEntry,
)

pytestmark = pytest.mark.asyncio


# -- tasks from end to end


async def test_a_feature_passes_in_one_round(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()

    task = await scene.submit(scene.samples.submission())
    state = await scene.ended(task)

    assert (state.status, state.round, state.reason) == ("completed", 1, "Passed in round 1.")
    assert (state.route.route, state.route.stage) == ("feature", "rules")
    assert [record.step for record in state.history] == ["1-import", "2-design", "3-build", "4-validate"]
    assert set(scene.executed.values()) == {1}
    assert len(await scene.states(task)) == 5


async def test_a_feature_passes_in_the_second_round(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()
    task = scene.samples.submission()
    scene.verdicts[task.task] = [scene.samples.judgement("FAIL", "1"), scene.samples.judgement("PASS")]

    await scene.submit(task)
    state = await scene.ended(task)

    assert (state.status, state.round, state.reason) == ("completed", 2, "Passed in round 2.")
    assert scene.executed[task.task, "5-build"] == scene.executed[task.task, "6-validate"] == 1


@pytest.mark.parametrize(
    ("signatures", "rounds", "reason"),
    [
        ("123", 3, "Stopped after round 3: no more rounds are allowed."),
        ("11", 2, "Stopped after round 2: the same failure twice."),
    ],
)
async def test_a_feature_that_keeps_failing_completes_with_fail(
    scene: Any, signatures: str, rounds: int, reason: str
) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()
    task = scene.samples.submission()
    scene.verdicts[task.task] = [scene.samples.judgement("FAIL", signature) for signature in signatures]

    await scene.submit(task)
    state = await scene.ended(task)

    assert state.judgement
    assert (state.judgement.verdict, state.round, state.reason) == ("FAIL", rounds, reason)


async def test_a_question_is_answered_and_a_review_judged(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()

    asked = await scene.submit(scene.samples.submission(request="How does the lockout work?"))
    reviewed = await scene.submit(scene.samples.submission(route="review"))

    answered, judged = await scene.ended(asked), await scene.ended(reviewed)
    assert (answered.route.route, answered.answer) == ("question", scene.samples.answer())
    assert (judged.route.stage, judged.status, judged.steps_commanded) == ("explicit", "completed", 3)


async def test_tasks_and_routes_are_counted(scene: Any) -> None:
    def values() -> list[float]:
        counted = [
            ("worksite_tasks_total", {"route": "feature", "outcome": "pass"}),
            ("worksite_tasks_total", {"route": "question", "outcome": "completed"}),
            ("worksite_route_decisions_total", {"stage": "rules", "route": "feature"}),
            ("worksite_task_seconds_count", {}),
        ]
        return [REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in counted]

    before = values()
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()

    await scene.ended(await scene.submit(scene.samples.submission()))
    await scene.ended(await scene.submit(scene.samples.submission(route="question")))

    assert [after - then for after, then in zip(values(), before, strict=True)] == [1, 1, 1, 2]


# -- cancel


async def test_a_cancel_reaches_the_step_in_flight_and_its_late_result_is_ignored(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()
    task = scene.samples.submission()
    scene.holding.add(task.task)
    await scene.submit(task)
    await scene.until(task, lambda state: state.step == "3-build")
    command = (await scene.states(task))[-1].commands[0]

    await scene.cancel(task)
    state = await scene.ended(task)
    await scene.settled("EVENTS")
    states = await scene.states(task)
    await scene.say(scene.samples.result(command))
    await scene.settled("EVENTS")

    assert (state.status, state.reason) == ("cancelled", "Cancelled by ada")
    assert await ledger_status(scene.bus, "builder", task.task, "3-build") == "cancelled"
    assert await scene.states(task) == states
    assert await scene.dead_letters() == []


async def test_a_cancel_that_overtakes_its_submission_waits_for_it(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = scene.samples.submission()
    await scene.cancel(task)
    early = await scene.next_delivery("EVENTS")

    await orchestrator.handle(early)
    assert await scene.states(task) == []

    scene.start_admin(orchestrator.handle)
    await scene.submit(task)
    assert (await scene.ended(task)).status == "cancelled"


async def test_a_cancelled_step_that_still_waits_in_the_queue_is_never_carried_out(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    task = await scene.submit(scene.samples.submission())
    await scene.until(task, lambda state: state.step == "1-import")

    await scene.cancel(task)
    await scene.ended(task)
    await scene.settled("EVENTS")
    scene.start_agents()
    after = await scene.submit(scene.samples.submission())

    assert (await scene.ended(after)).status == "completed"
    assert (task.task, "1-import") not in scene.executed


# -- redelivery and refusal


async def test_an_event_that_comes_again_publishes_its_command_again_and_changes_no_state(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    async with scene.overheard("ws.v1.work.>") as said:
        task = await scene.submit(scene.samples.submission())
        delivery = await scene.next_delivery("TASKS")
        await orchestrator.handle(unacknowledged(delivery))
        states = await scene.states(task)
        await orchestrator.handle(delivery)

    assert [(m.headers["Nats-Msg-Id"], m.data) for m in said] == [(f"{states[0].cause}-0", said[0].data)] * 2
    assert len(await scene.queued("builder")) == 1
    assert await scene.states(task) == states


async def test_an_event_that_comes_again_after_its_step_was_answered_publishes_nothing(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.submission())
    delivery = await scene.next_delivery("TASKS")
    await orchestrator.handle(unacknowledged(delivery))
    [command] = (await scene.states(task))[-1].commands
    await scene.say(scene.samples.result(command))
    await orchestrator.handle(await scene.next_delivery("EVENTS"))

    async with scene.overheard("ws.v1.work.>") as said:
        await orchestrator.handle(delivery)

    assert said == []
    row = await scene.row(task)
    assert row.state.step == "2-design"


async def test_a_result_that_a_lagging_replica_cannot_place_yet_is_put_off(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.submission())
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    [command] = (await scene.states(task))[-1].commands
    ahead = scene.samples.result(command.model_copy(update={"step": "2-import"}))
    await scene.say(ahead)

    await orchestrator.handle(await scene.next_delivery("EVENTS"))

    assert (await scene.bus.jetstream.consumer_info("EVENTS", "admin")).num_ack_pending == 1


async def test_a_command_that_the_queue_refuses_is_published_once_there_is_room(scene: Any) -> None:
    filler = [await scene.submit(scene.samples.submission()) for _ in range(subjects.WORK_CAP_PER_TENANT)]
    scene.start_admin(Orchestrator(scene.bus).handle)
    await asyncio.gather(*(scene.until(task, lambda state: state.step == "1-import") for task in filler))

    refused = await scene.submit(scene.samples.submission())
    async with asyncio.timeout(10):
        while not await scene.states(refused):
            await asyncio.sleep(0.01)
    assert (await scene.row(refused)) is None

    scene.start_agents()
    assert (await scene.ended(refused)).status == "completed"
    assert set(scene.executed.values()) == {1}


async def test_writers_that_always_come_first_make_the_event_come_again(scene: Any) -> None:
    bus = await Losing.connect(scene.bus.settings)
    await scene.submit(scene.samples.submission())

    await Orchestrator(bus).handle(await scene.next_delivery("TASKS"))

    await bus.close()
    assert (await scene.bus.jetstream.consumer_info("TASKS", "admin")).num_ack_pending == 1


async def test_a_fault_of_our_own_puts_the_event_off_and_dead_letters_it_in_the_end(scene: Any) -> None:
    async def faulty(_: Any) -> Any:
        raise RuntimeError("a bug in a stage")

    orchestrator = Orchestrator(scene.bus, faulty)
    await scene.submit(scene.samples.submission())
    delivery = await scene.next_delivery("TASKS")

    await orchestrator.handle(unacknowledged(delivery))
    assert await scene.dead_letters() == []

    await orchestrator.handle(dataclasses.replace(delivery, attempt=MAX_FAULTS))
    [letter] = await scene.dead_letters()
    assert letter.reason == "given up after 50 deliveries: a bug in a stage"


async def test_a_result_too_large_to_be_recorded_fails_the_task(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    task = await scene.submit(scene.samples.submission(route="question", request="x" * 12_000))
    state = await scene.until(task, lambda state: state.step == "1-answer")
    [command] = (await scene.states(task))[-1].commands

    await scene.say(scene.samples.result(command, Answer(text="y" * 50_000, citations=(), engine="rag")))

    state = await scene.ended(task)
    assert (state.status, state.problem.code) == ("failed", "too_large")


# -- the read model


async def test_the_row_of_the_gateway_is_filled_in(scene: Any) -> None:
    task = scene.samples.submission()
    waiting = TaskEntry(state=None, submitted=task, sequence=0)
    await rows(scene).create(f"acme.{task.task}", waiting.to_json())

    await scene.submit(task)
    await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))

    row = await scene.row(task)
    assert (row.submitted, row.state.step, row.state.commands) == (task, "1-import", ())


async def test_a_row_that_shows_a_later_state_is_left_alone(scene: Any) -> None:
    task = await scene.submit(scene.samples.submission())
    delivery = await scene.next_delivery("TASKS")
    await Orchestrator(scene.bus).handle(unacknowledged(delivery))
    row = await scene.row(task)
    later = row.model_copy(update={"sequence": row.sequence + 100})
    await rows(scene).update(
        f"acme.{task.task}", later.to_json(), (await rows(scene).get(f"acme.{task.task}")).revision
    )

    await Orchestrator(scene.bus).handle(delivery)

    assert await scene.row(task) == later


async def test_a_row_that_was_lost_is_made_again_with_what_was_submitted(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.submission(route="feature"))
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    await rows(scene).delete(f"acme.{task.task}")
    [command] = (await scene.states(task))[-1].commands

    await scene.say(scene.samples.result(command))
    await orchestrator.handle(await scene.next_delivery("EVENTS"))

    row = await scene.row(task)
    assert (row.submitted, row.state.step) == (task, "2-design")


# -- what may not be said


@pytest.mark.parametrize(
    ("stream", "subject", "headers", "body", "reason"),
    [
        ("TASKS", "ws.v1.task.acme", {}, b"x", "header ce-id is missing"),
        ("TASKS", "ws.v1.task.acme", {"ce-type": "worksite.v1.submit_task"}, b"{", "Invalid JSON"),
        ("TASKS", "ws.v1.task.acme", {"ce-type": "worksite.v1.submit_task"}, b"{}", "Field required"),
        ("TASKS", "ws.v1.task.acme", {"ce-type": "worksite.v1.spec"}, b"{}", "is nothing that admin handles"),
        ("TASKS", "ws.v1.task.acme", {"ce-time": "yesterday"}, b"{}", "a header is not a timestamp"),
        ("TASKS", "ws.v1.task.acme", {"ce-time": "2026-11-22T12:00:00"}, None, "header ce-time has no time zone"),
        ("TASKS", "ws.v1.task.acme", {"ws-tenant": "other"}, None, "different tasks or tenants"),
        ("TASKS", "ws.v1.task.other", {}, None, "may not come on ws.v1.task.other"),
    ],
)
async def test_a_poison_submission_is_dead_lettered_with_its_reason(
    scene: Any, stream: str, subject: str, headers: dict[str, str], body: bytes | None, reason: str
) -> None:
    task = scene.samples.submission()
    envelope = Envelope("worksite.v1.submit_task", "gateway", "acme", task.task, time=scene.samples.t0)
    whole = {**envelope.headers(), **headers} if headers or body is None else {}
    await scene.bus.publish_raw(subject, task.to_json() if body is None else body, whole)

    await Orchestrator(scene.bus).handle(await scene.next_delivery(stream))
    await scene.settled(stream)

    [letter] = await scene.dead_letters()
    assert reason in letter.reason
    assert await scene.states(task) == []


@pytest.mark.parametrize(
    ("producer", "step", "kind", "changes", "reason"),
    [
        ("builder", "1-import", "result", {"agent": "validator"}, "validator answers import to the step 1-import"),
        ("builder", "1-import", "result", {"action": "validate"}, "builder answers validate to the step 1-import"),
        ("builder", "3-validate", "result", {}, "may not come on"),
        ("validator", "1-import", "result", {}, "may not come on"),
        ("builder", "2-import", "result", {}, "may not come on"),
        ("builder", "1-import", "input", {}, "may not come on"),
    ],
)
async def test_no_agent_can_speak_for_another_or_for_another_step(
    scene: Any, producer: str, step: str, kind: Any, changes: dict[str, str], reason: str
) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.submission())
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    states = await scene.states(task)
    result = scene.samples.result(states[-1].commands[0])
    forged = result.model_copy(update={"reply": result.reply.model_copy(update=changes)})
    await scene.publish(subjects.event_subject("acme", task.task, producer, step, kind), forged, producer)

    await orchestrator.handle(await scene.next_delivery("EVENTS"))

    [letter] = await scene.dead_letters()
    assert reason in letter.reason
    assert await scene.states(task) == states


async def test_a_builder_cannot_declare_its_own_work_passed(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()
    task = scene.samples.submission()
    scene.verdicts[task.task] = [scene.samples.judgement("ENVIRONMENT")]
    scene.holding.add(task.task)
    await scene.submit(task)
    await scene.until(task, lambda state: state.step == "3-build")
    [build] = (await scene.states(task))[-1].commands
    reply = AgentReply(action="validate", agent="validator", status="ok", data=scene.samples.judgement("PASS"))
    forged = scene.samples.result(build).model_copy(update={"step": "4-validate", "reply": reply})

    await scene.publish(subjects.event_subject("acme", task.task, "builder", "4-validate", "result"), forged, "builder")
    await scene.settled("EVENTS")

    assert len(await scene.dead_letters()) == 1
    assert (await scene.states(task))[-1].step == "3-build"


async def test_a_message_that_is_not_for_admin_is_dead_lettered(scene: Any) -> None:
    progress = StepProgress(task="0" * 32, tenant="acme", step="1-import", text="cloning")
    await scene.publish(subjects.event_subject("acme", "0" * 32, "builder", "1-import", "result"), progress, "builder")

    await Orchestrator(scene.bus).handle(await scene.next_delivery("EVENTS"))

    [letter] = await scene.dead_letters()
    assert letter.reason == "worksite.v1.step_progress is nothing that admin handles"


async def test_a_type_of_a_newer_version_is_handed_back_and_not_dead_lettered(scene: Any) -> None:
    envelope = Envelope("worksite.v1.from_the_future", "gateway", "acme", "0" * 32)
    await scene.bus.publish_raw(subjects.task_subject("acme"), b"{}", envelope.headers())

    await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))

    assert (await scene.bus.jetstream.consumer_info("TASKS", "admin")).num_ack_pending == 1
    assert await scene.dead_letters() == []


@pytest.mark.parametrize("kind", ["input", "approval"])
async def test_input_and_approval_that_nothing_waits_for_are_acknowledged(scene: Any, kind: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.submission())
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    message = scene.samples.input_given(task) if kind == "input" else scene.samples.approval_given(task)
    await scene.publish(subjects.event_subject("acme", task.task, "gateway", "task", kind), message, "gateway")

    await orchestrator.handle(await scene.next_delivery("EVENTS"))
    await scene.settled("EVENTS")

    assert len(await scene.states(task)) == 1
    assert await scene.dead_letters() == []


# -- helpers


class Losing(Bus):
    """Somebody else always records the state first."""

    async def publish(self, *_: Any, **__: Any) -> int:
        raise Conflict("somebody else wrote first")


def unacknowledged(delivery: Any) -> Any:
    """The same delivery, whose end never reaches the server: it can be handled once more."""

    class Lost(type(delivery)):
        async def ack(self) -> None: ...

        async def hand_back(self, delay_seconds: float | None = None) -> None: ...

    return Lost(**{field.name: getattr(delivery, field.name) for field in dataclasses.fields(delivery)})


def rows(scene: Any) -> KeyValue:
    return KeyValue(scene.bus, subjects.TASKS)


async def overwrite(scene: Any, row: TaskEntry) -> None:
    key = f"{row.submitted.tenant}.{row.submitted.task}"
    found = await rows(scene).get(key)
    await rows(scene).update(key, row.to_json(), found.revision if found else 0)


async def ledger_status(bus: Bus, service: str, task: str, step: str) -> str | None:
    found = await KeyValue(bus, subjects.LEDGER).get(f"{service}.{task}.{step}")
    return LedgerEntry.model_validate_json(found.value).status if found else None


@pytest.mark.asyncio
async def test_an_event_of_a_task_with_a_long_history_is_performed_when_it_comes_again(scene: Any) -> None:
    admin, task = Orchestrator(scene.bus), await scene.submit(scene.samples.submission())
    await admin.handle(await scene.next_delivery("TASKS"))
    await scene.bus.jetstream.purge_stream("WORK")
    [first] = await scene.states(task)
    subject = subjects.state_subject(task.tenant, task.task)
    for cause in (*(f"answer{n}" for n in range(300)), "again"):
        state = first.model_copy(update={"cause": cause, "applied": (*first.applied, cause)})
        await scene.bus.publish(subject, state, Envelope(state.ce_type(), "admin", task.tenant, task.task))

    await admin.apply(Event("again", datetime.now(UTC), task))

    assert [command.step for command in await scene.queued("builder")] == ["1-import"]
