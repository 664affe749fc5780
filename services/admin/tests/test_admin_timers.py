"""Deadlines on a real bus: a task ends on time whatever its agents do, and whether or not admin was there."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from worksite.admin.handlers import Orchestrator
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, KeyValue
from worksite.common.ledger import LedgerEntry
from worksite.common.messages import SubmitTask

pytestmark = pytest.mark.asyncio


async def test_a_task_whose_agent_never_answers_fails_at_its_deadline_and_its_step_is_taken_away(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    task = await scene.submit(scene.samples.late(seconds_left=1.5))

    state = await scene.ended(task)
    await scene.settled("TIMERS")

    assert (state.status, state.problem.code) == ("failed", "deadline")
    assert state.problem.detail.endswith("passed while 1-import was under way.")
    assert state.updated_at == state.deadline
    assert await ledger_status(scene.bus, task, "1-import") == "cancelled"
    scene.start_agents()
    follower = await scene.submit(scene.samples.submission())
    await scene.ended(follower)
    assert (task.task, "1-import") not in scene.executed


async def test_a_task_that_waits_for_room_in_the_queue_still_ends_at_its_deadline(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    for _ in range(subjects.WORK_CAP_PER_TENANT):
        await scene.submit(scene.samples.submission())
    await scene.settled("TASKS")

    state = await scene.ended(await scene.submit(scene.samples.late(seconds_left=1.5)))

    assert (state.status, state.problem.code) == ("failed", "deadline")


async def test_a_timer_that_runs_out_while_admin_is_away_ends_the_task_later(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.late(seconds_left=0.3))
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    async with asyncio.timeout(10):
        while await scene.bus.last("TIMERS", subjects.timer_subject("due", task.task, "deadline")) is None:
            await asyncio.sleep(0.01)
    assert (await scene.states(task))[-1].status == "running"

    scene.start_admin(orchestrator.handle)

    assert (await scene.ended(task)).problem.code == "deadline"


async def test_a_timer_survives_a_restart_of_the_bus(scene: Any, nats_server: Any) -> None:
    task = await scene.submit(scene.samples.late(seconds_left=1))
    await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))
    nats_server.kill()
    nats_server.start()

    bus = await Bus.connect(scene.bus.settings)
    later = type(scene)(bus, scene.samples)
    await Orchestrator(bus).handle(await later.next_delivery("TIMERS"))

    assert [state.status for state in await later.states(task)] == ["running", "failed"]
    await bus.close()


async def test_a_timer_that_ran_out_twice_ends_the_task_once(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.late(seconds_left=0.2))
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    await orchestrator.handle(await scene.next_delivery("TIMERS"))
    states = await scene.states(task)
    assert [state.status for state in states] == ["running", "failed"]

    await put(scene, task, states[0].deadline)
    await orchestrator.handle(await scene.next_delivery("TIMERS"))
    await scene.settled("TIMERS")

    assert await scene.states(task) == states


async def test_a_stale_timer_changes_nothing_but_that_the_right_one_is_put_again(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.late(seconds_left=2))
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    [state] = await scene.states(task)

    await put(scene, task, state.deadline - timedelta(seconds=5))
    await orchestrator.handle(await scene.next_delivery("TIMERS"))
    assert len(await scene.states(task)) == 1
    scene.start_admin(orchestrator.handle)

    assert (await scene.ended(task)).problem.code == "deadline"


async def test_an_answer_moves_the_deadline_and_its_timer(scene: Any) -> None:
    orchestrator = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.submission())
    await orchestrator.handle(await scene.next_delivery("TASKS"))
    [command] = (await scene.states(task))[-1].commands
    await scene.say(scene.samples.result(command, scene.samples.question(), "needs_input"))
    await orchestrator.handle(await scene.next_delivery("EVENTS"))
    first = await timer(scene, task)

    answer = scene.samples.input_given(task)
    await scene.publish(subjects.event_subject("acme", task.task, "gateway", "task", "input"), answer, "gateway")
    await orchestrator.handle(await scene.next_delivery("EVENTS"))

    last = (await scene.states(task))[-1]
    assert await timer(scene, task) == f"@at {last.deadline.isoformat()}"
    assert first < f"@at {last.deadline.isoformat()}"


async def test_a_timer_of_a_task_that_is_not_known_any_more_is_acknowledged(scene: Any) -> None:
    task = scene.samples.submission()
    await put(scene, task, datetime.now(UTC))

    await Orchestrator(scene.bus).handle(await scene.next_delivery("TIMERS"))
    await scene.settled("TIMERS")

    assert await scene.dead_letters() == []


async def test_what_comes_as_a_timer_of_another_task_is_a_dead_letter(scene: Any) -> None:
    task, other = scene.samples.submission(), scene.samples.submission()
    due = scene.samples.due(other, datetime.now(UTC))
    envelope = Envelope(due.ce_type(), "admin", "acme", other.task)
    await scene.bus.publish(subjects.timer_subject("due", task.task, "deadline"), due, envelope)

    await Orchestrator(scene.bus).handle(await scene.next_delivery("TIMERS"))

    [letter] = await scene.dead_letters()
    assert "may not come on" in letter.reason


# -- approval


async def test_a_design_is_built_when_it_was_approved(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()
    task = await scene.submit(scene.samples.submission(options={"approve": ("design",)}))
    waiting = await scene.ended(task)
    assert (waiting.status, waiting.approval.digest) == ("needs_input", scene.samples.spec().spec.sha256)

    await scene.approve(task, digest="0" * 64)
    await scene.settled("EVENTS")
    assert (await scene.row(task)).state == waiting
    await scene.approve(task)

    state = await scene.until(task, lambda state: state.status == "completed")
    assert (state.reason, state.approval) == ("Passed in round 1.", None)


async def test_a_design_that_nobody_approves_fails_the_task_in_time(scene: Any) -> None:
    scene.start_admin(Orchestrator(scene.bus, time_to_approve=timedelta(seconds=0.5)).handle)
    scene.start_agents()
    task = await scene.submit(scene.samples.submission(options={"approve": ("design",)}))

    state = await scene.until(task, lambda state: state.status == "failed")

    assert (state.problem.code, state.approval) == ("approval_expired", None)
    assert (task.task, "3-build") not in scene.executed


# -- helpers


async def put(scene: Any, task: SubmitTask, at: datetime) -> None:
    """A timer that says `at` and runs out at once."""
    due = scene.samples.due(task, at)
    envelope = Envelope(due.ce_type(), "admin", task.tenant, task.task)
    subject, target = (subjects.timer_subject(kind, task.task, "deadline") for kind in ("set", "due"))
    await scene.bus.schedule(subject, target, datetime.now(UTC), due, envelope)


async def timer(scene: Any, task: SubmitTask) -> str:
    stored = await scene.bus.last("TIMERS", subjects.timer_subject("set", task.task, "deadline"))
    return stored.headers["Nats-Schedule"]


async def ledger_status(bus: Bus, task: SubmitTask, step: str) -> str | None:
    found = await KeyValue(bus, subjects.LEDGER).get(f"builder.{task.task}.{step}")
    return LedgerEntry.model_validate_json(found.value).status if found else None
