"""Packages on a real bus: several commands of one state, several results at once, and kill -9 in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from worksite.admin.handlers import Orchestrator
from worksite.admin.redrive import Redriver
from worksite.admin.sweeper import PATIENCE, Sweeper
from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, KeyValue
from worksite.common.dead_letters import bury
from worksite.common.ledger import LedgerEntry
from worksite.common.messages import BuildChange, RedriveLetter, RouteDecision, StepCommand, SubmitTask, TaskState

pytestmark = pytest.mark.asyncio


class Killed(BaseException):
    """The process is gone; no handler of an Exception may notice."""


class MortalBus(Bus):
    """Dies once, just before or just after its n-th publication."""

    left = 0
    when: Literal["before", "after"] = "before"

    async def publish_raw(self, *args: Any, **kwargs: Any) -> int:
        self.left -= 1
        if self.left == 0 and self.when == "before":
            raise Killed
        sequence = await super().publish_raw(*args, **kwargs)
        if self.left == 0:
            raise Killed
        return sequence


async def hard(_: SubmitTask) -> RouteDecision:
    """A cascade that finds everything hard."""
    return RouteDecision(route="feature", stage="rules", reason="always", confidence=1, latency_ms=0, difficulty="hard")


def admin(bus: Bus) -> Orchestrator:
    return Orchestrator(bus, hard)


async def last_state(scene: Any, task: SubmitTask) -> TaskState:
    return (await scene.states(task))[-1]


async def answer(scene: Any, command: StepCommand, *given: Any) -> Delivery:
    """Say it as the agent; the delivery, not handled yet."""
    await scene.say(scene.samples.result(command, *given))
    return await scene.next_delivery("EVENTS")


async def about_to_be_split(scene: Any, **plan: str) -> tuple[SubmitTask, Delivery]:
    """A task, and the delivery of the design that splits it."""
    task = await scene.submit(scene.samples.submission())
    await admin(scene.bus).handle(await scene.next_delivery("TASKS"))
    for made in (None, scene.samples.spec(**plan)):
        [command] = (await last_state(scene, task)).commands
        delivery = await answer(scene, command, made)
        if made is None:
            await admin(scene.bus).handle(delivery)
    await scene.bus.jetstream.purge_stream("WORK")  # nobody took the commands that were answered
    return task, delivery


async def split(scene: Any, **plan: str) -> tuple[SubmitTask, list[BuildChange]]:
    """A task whose first wave is in flight, and its commands."""
    task, delivery = await about_to_be_split(scene, **plan)
    await admin(scene.bus).handle(delivery)
    return task, await scene.queued("builder")


async def ledger_status(bus: Bus, task: SubmitTask, step: str) -> str | None:
    found = await KeyValue(bus, subjects.LEDGER).get(f"builder.{task.task}.{step}")
    return LedgerEntry.model_validate_json(found.value).status if found else None


async def test_a_task_in_packages_goes_its_way_and_each_step_is_done_once(scene: Any) -> None:
    scene.plan = {"a": "", "b": "", "c": "a"}
    scene.conflicts = ["b"]
    scene.start_admin(admin(scene.bus).handle)
    scene.start_agents()

    state = await scene.ended(await scene.submit(scene.samples.submission()))

    assert (state.status, state.reason) == ("completed", "Passed in round 1.")
    assert {package.id for package in state.packages if package.merged} == {"a", "b", "c"}
    assert {step for _, step in scene.executed} == {
        "1-import", "2-design", "3-build", "4-build", "5-build", "6-build", "7-build", "8-build", "9-validate",
    }  # fmt: skip
    assert set(scene.executed.values()) == {1}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_admin_killed_between_any_two_commands_of_a_wave_publishes_each_once(
    scene: Any, when: Literal["before", "after"]
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    bus.when = when
    publications = 5  # the state, three commands, the row
    for n in range(1, publications + 1):
        task, delivery = await about_to_be_split(scene, a="", b="", c="")
        bus.left = n
        with pytest.raises(Killed):
            await admin(bus).handle(delivery)

        await admin(scene.bus).handle(delivery)

        queued = await scene.queued("builder")
        assert [(c.task, c.step, c.package) for c in queued] == [
            (task.task, f"{i}-build", name) for i, name in enumerate("abc", 3)
        ]
        assert len(await scene.states(task)) == 3
        assert (await scene.row(task)).state.in_flight == ("3-build", "4-build", "5-build")
    await bus.close()


async def test_a_wave_that_was_cut_off_is_completed_without_what_was_answered_meanwhile(scene: Any) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    task, delivery = await about_to_be_split(scene, a="", b="", c="")
    bus.left, bus.when = 2, "after"  # the state, the first command
    with pytest.raises(Killed):
        await admin(bus).handle(delivery)
    [first] = await scene.queued("builder")
    await admin(scene.bus).handle(await answer(scene, first))

    async with scene.overheard("ws.v1.work.>") as said:
        await admin(scene.bus).handle(delivery)

    await bus.close()
    assert [BuildChange.consume(message.data).package for message in said] == ["b", "c"]
    assert (await scene.row(task)).state.in_flight == ("4-build", "5-build")


@pytest.mark.parametrize("when", ["before", "after"])
async def test_admin_killed_at_any_point_of_a_cancel_takes_every_package_away(
    scene: Any, when: Literal["before", "after"]
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    bus.when = when
    for n in range(1, 5):  # the state, two steps in the ledger, the row
        task, _ = await split(scene, a="", b="")
        await scene.cancel(task)
        delivery = await scene.next_delivery("EVENTS")
        bus.left = n
        with pytest.raises(Killed):
            await admin(bus).handle(delivery)

        await admin(scene.bus).handle(delivery)

        assert [await ledger_status(scene.bus, task, step) for step in ("3-build", "4-build")] == ["cancelled"] * 2
        assert (await scene.row(task)).state.status == "cancelled"
    await bus.close()


async def test_a_package_that_fails_takes_the_others_from_their_builders(scene: Any) -> None:
    task, commands = await split(scene, a="", b="", c="")
    await admin(scene.bus).handle(await answer(scene, commands[0]))

    failure = scene.samples.result(commands[1], scene.samples.problem(), "failed")
    await scene.say(failure)
    await admin(scene.bus).handle(await scene.next_delivery("EVENTS"))

    assert await ledger_status(scene.bus, task, "5-build") == "cancelled"
    assert await ledger_status(scene.bus, task, "3-build") is None
    late = await answer(scene, commands[2])
    await admin(scene.bus).handle(late)
    assert (await last_state(scene, task)).status == "failed"
    assert len(await scene.states(task)) == 5


async def test_results_of_a_wave_that_come_at_once_to_several_admins_are_merged_once(scene: Any) -> None:
    others = [await Bus.connect(scene.bus.settings) for _ in range(3)]
    for turn in range(8):
        task, commands = await split(scene, a="", b="", c="")
        await scene.bus.jetstream.purge_stream("WORK")
        deliveries = [await answer(scene, command) for command in commands]
        if turn % 2:
            deliveries.reverse()

        async with scene.overheard("ws.v1.work.>") as said:
            await asyncio.gather(
                *(admin(bus).handle(delivery) for bus, delivery in zip(others, deliveries, strict=True))
            )

        [merge] = [BuildChange.consume(message.data) for message in said]
        assert (merge.step, [part.package for part in merge.parts]) == ("6-build", ["a", "b", "c"])
        states = await scene.states(task)
        assert [len(state.in_flight) for state in states] == [1, 1, 3, 2, 1, 1]
        assert len(set(states[-1].applied)) == 6
        await scene.bus.jetstream.purge_stream("WORK")
    for bus in others:
        await bus.close()


async def test_a_wave_that_finds_room_for_one_command_only_publishes_each_once(scene: Any) -> None:
    task, delivery = await about_to_be_split(scene, a="", b="", c="")
    for _ in range(subjects.WORK_CAP_PER_TENANT - 1):
        await scene.submit(scene.samples.submission())
        await admin(scene.bus).handle(await scene.next_delivery("TASKS"))

    await admin(scene.bus).handle(delivery)  # handed back
    queued = [command for command in await scene.queued("builder") if command.task == task.task]
    assert [command.package for command in queued] == ["a"]

    scene.start_admin(admin(scene.bus).handle)
    scene.start_agents()
    assert (await scene.ended(task)).status == "completed"
    steps = Counter({step: times for (of, step), times in scene.executed.items() if of == task.task})
    assert steps == dict.fromkeys(("3-build", "4-build", "5-build", "6-build", "7-validate"), 1)


async def test_a_package_whose_command_got_lost_is_commanded_again_after_others_were_answered(scene: Any) -> None:
    async with scene.overheard("ws.v1.work.builder.>") as said:
        task, commands = await split(scene, a="", b="", c="")
        await scene.bus.jetstream.purge_stream("WORK")  # as expiry does
        await admin(scene.bus).handle(await answer(scene, commands[0]))
        assert (await last_state(scene, task)).commands == ()

        for _ in range(2):
            later = datetime.now(UTC) + PATIENCE + timedelta(seconds=1)
            await Sweeper(scene.bus, admin(scene.bus), lambda later=later: later).turn()

    assert [command.package for command in await scene.queued("builder")] == ["b", "c"]
    bodies: dict[str, set[bytes]] = {}
    for message in said[1:]:  # the first one is the import
        bodies.setdefault(message.headers["ce-id"], set()).add(bytes(message.data))
    assert [len(versions) for versions in bodies.values()] == [1, 1, 1]


async def test_a_letter_of_a_package_is_redriven_while_others_are_in_flight(scene: Any) -> None:
    _, commands = await split(scene, a="", b="")
    delivery = await scene.next_delivery("WORK", "builder")
    await bury(scene.bus, "builder", delivery, "given up")
    [letter] = await scene.bus.read("DEAD", subjects.dead_subject("builder", "acme"), 0)
    redriver = Redriver(scene.bus, admin(scene.bus))

    assert (await redriver.redrive(RedriveLetter(tenant="acme", sequence=letter.sequence))).redriven

    assert [command.package for command in await scene.queued("builder")] == ["b", "a"]
    await admin(scene.bus).handle(await answer(scene, commands[0]))
    outcome = await redriver.redrive(RedriveLetter(tenant="acme", sequence=letter.sequence))
    assert "does not wait for step 3-build (any more)" in outcome.reason


async def test_the_largest_plan_of_the_longest_request_fits_into_messages(scene: Any) -> None:
    names = {f"{'x' * 70}-{i}": "" for i in range(8)}
    scene.start_admin(admin(scene.bus).handle)
    scene.start_agents()
    scene.plan = names

    state = await scene.ended(await scene.submit(scene.samples.submission(request="x" * 12_000)))

    assert (state.status, state.reason) == ("completed", "Passed in round 1.")
