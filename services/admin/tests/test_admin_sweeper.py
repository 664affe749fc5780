"""The sweeper on a real bus: whatever was left standing goes on, once, and what moves is left alone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from worksite.admin.handlers import Orchestrator
from worksite.admin.sweeper import PATIENCE, Sweeper
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, KeyValue
from worksite.common.dead_letters import bury
from worksite.common.messages import SubmitTask, TaskEntry

pytestmark = pytest.mark.asyncio


def sweeper(bus: Bus, later: timedelta = PATIENCE + timedelta(seconds=1)) -> Sweeper:
    """One that comes when patience has just run out."""
    return Sweeper(bus, Orchestrator(bus), lambda: datetime.now(UTC) + later)


async def accepted(scene: Any, task: SubmitTask) -> SubmitTask:
    """Shown by the gateway; nothing of it is on the bus."""
    entry = TaskEntry(state=None, submitted=task, sequence=0)
    await KeyValue(scene.bus, subjects.TASKS).create(f"{task.tenant}.{task.task}", entry.to_json())
    return task


async def started(scene: Any) -> SubmitTask:
    """At work on its first step, whose command is in the queue."""
    task = await scene.submit(scene.samples.submission())
    await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))
    return task


async def lose_work(scene: Any) -> None:
    """As expiry does."""
    await scene.bus.jetstream.purge_stream("WORK")


async def test_an_accepted_task_whose_submission_is_gone_is_taken_up_once(scene: Any) -> None:
    task = await accepted(scene, scene.samples.submission())

    await asyncio.gather(*(sweeper(scene.bus).turn() for _ in range(3)))

    assert [state.step for state in await scene.states(task)] == ["1-import"]
    assert len(await scene.queued("builder")) == 1
    assert (await scene.row(task)).state.status == "running"


async def test_a_task_whose_deadline_passed_before_anybody_took_it_up_fails(scene: Any) -> None:
    task = await accepted(scene, scene.samples.late(seconds_left=0))

    await sweeper(scene.bus).turn()

    assert (await scene.row(task)).state.problem.code == "deadline"


async def test_a_submission_that_waits_is_left_where_it_is(scene: Any) -> None:
    task = await accepted(scene, scene.samples.submission())
    envelope = Envelope(task.ce_type(), "gateway", task.tenant, task.task, id=task.task)
    await scene.bus.publish(subjects.task_subject("acme"), task, envelope)

    await sweeper(scene.bus).turn()

    assert await scene.states(task) == []


async def test_a_command_that_is_gone_is_published_again_once_and_under_its_id(scene: Any) -> None:
    task = await started(scene)
    async with scene.overheard("ws.v1.work.>") as said:
        await lose_work(scene)
        await asyncio.gather(*(sweeper(scene.bus).turn() for _ in range(3)))
        await sweeper(scene.bus).turn()
        [command] = await scene.queued("builder")
    assert (command.task, command.step) == (task.task, "1-import")
    assert {message.headers["ce-id"] for message in said} == {f"{(await scene.states(task))[-1].cause}-0"}

    scene.start_admin(Orchestrator(scene.bus).handle)
    scene.start_agents()
    assert (await scene.ended(task)).status == "completed"
    assert set(scene.executed.values()) == {1}


async def test_a_command_that_waits_or_was_answered_is_not_published_again(scene: Any) -> None:
    waits, answered = await started(scene), await started(scene)
    [command] = (await scene.states(answered))[-1].commands
    await scene.say(scene.samples.result(command))
    for stored in await scene.bus.read("WORK", "ws.v1.work.>", after=0):
        if stored.headers["ws-task"] == answered.task:
            await scene.bus.jetstream.delete_msg("WORK", stored.sequence)

    await sweeper(scene.bus).turn()

    assert [each.task for each in await scene.queued("builder")] == [waits.task]


async def test_a_command_that_became_a_dead_letter_is_left_to_a_redrive(scene: Any) -> None:
    died, lost = await started(scene), await started(scene)
    for _ in range(2):
        delivery = await scene.next_delivery("WORK", "builder")
        if delivery.headers["ws-task"] == died.task:
            await bury(scene.bus, "builder", delivery, "a version that builder does not read")
    await lose_work(scene)

    await sweeper(scene.bus).turn()

    assert [command.task for command in await scene.queued("builder")] == [lost.task]


async def test_what_has_just_moved_is_left_alone(scene: Any) -> None:
    submitted = await accepted(scene, scene.samples.submission())
    await started(scene)
    await lose_work(scene)

    await sweeper(scene.bus, later=timedelta()).turn()

    assert await scene.queued("builder") == []
    assert await scene.states(submitted) == []


async def test_a_row_that_lags_behind_the_events_catches_up(scene: Any) -> None:
    task = await started(scene)
    rows, key = KeyValue(scene.bus, subjects.TASKS), f"{task.tenant}.{task.task}"
    found = await rows.get(key)
    assert found
    old = TaskEntry.consume(found.value).model_copy(update={"state": None, "sequence": 0})
    await rows.update(key, old.to_json(), found.revision)

    await sweeper(scene.bus).turn()

    assert (await scene.row(task)).state == (await scene.states(task))[-1].model_copy(update={"commands": ()})


async def test_a_timer_that_got_lost_is_put_again(scene: Any) -> None:
    task = await scene.submit(scene.samples.late(seconds_left=5))
    await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))
    await scene.bus.jetstream.purge_stream("TIMERS")

    await sweeper(scene.bus, later=PATIENCE + timedelta(seconds=6)).turn()
    stored = await scene.bus.last("TIMERS", subjects.timer_subject("set", task.task, "deadline"))

    assert stored.headers["Nats-Schedule"] == f"@at {(await scene.states(task))[-1].deadline.isoformat()}"


async def test_a_task_that_cannot_be_mended_does_not_keep_others_from_it(scene: Any) -> None:
    broken = await accepted(scene, scene.samples.submission())
    await scene.bus.publish_raw(subjects.state_subject("acme", broken.task), b"{}", {})
    task = await accepted(scene, scene.samples.submission())

    await sweeper(scene.bus).turn()

    assert len(await scene.states(task)) == 1


async def test_more_tasks_than_one_turn_looks_at_are_all_mended_in_a_few(
    scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("worksite.admin.sweeper._TASKS_PER_TURN", 2)
    tasks = [await accepted(scene, scene.samples.submission()) for _ in range(5)]
    sweeping = sweeper(scene.bus)

    for _ in range(3):
        await sweeping.turn()

    assert [len(await scene.states(task)) for task in tasks] == [1] * 5


async def test_sweeping_goes_on_after_a_fault_of_its_own(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    task, stop = await accepted(scene, scene.samples.submission()), asyncio.Event()
    read = scene.bus.read

    async def broken(*_: Any) -> Any:
        monkeypatch.setattr(scene.bus, "read", read)
        raise ValueError("a fault of ours")

    monkeypatch.setattr(scene.bus, "read", broken)
    sweeping = asyncio.create_task(sweeper(scene.bus).run(stop, 0.01))
    assert (await scene.until(task, lambda state: state.step == "1-import")).status == "running"
    stop.set()
    await sweeping
