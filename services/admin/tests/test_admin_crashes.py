"""kill -9 at every point, and several admins at once: nothing is lost and nothing is done twice."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import defaultdict
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

import pytest
from worksite.admin.handlers import ChooseRoute, Orchestrator
from worksite.admin.sweeper import PATIENCE, Sweeper
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.ledger import LedgerEntry
from worksite.common.messages import Route, RouteDecision, TaskEntry

pytestmark = pytest.mark.asyncio
T = TypeVar("T")


class Killed(BaseException):
    """The process is gone; no handler of an Exception may notice."""


class MortalBus(Bus):
    """Dies once, just before or just after its n-th conversation with NATS."""

    left: int | None = None
    when: Literal["before", "after"] = "before"
    conversations = 0

    def dies(self, n: int, when: Literal["before", "after"]) -> None:
        self.left, self.when, self.conversations = n, when, 0

    async def publish_raw(self, *args: Any, **kwargs: Any) -> Any:
        return await self._talk(super().publish_raw(*args, **kwargs))

    async def request_raw(self, *args: Any, **kwargs: Any) -> Any:
        return await self._talk(super().request_raw(*args, **kwargs))

    async def read(self, *args: Any, **kwargs: Any) -> Any:
        return await self._talk(super().read(*args, **kwargs))

    async def _talk(self, conversation: Awaitable[T]) -> T:
        self.conversations += 1
        now = self.left is not None and self.conversations == self.left
        if now and self.when == "before":
            conversation.close()  # pyright: ignore[reportAttributeAccessIssue]  # a coroutine that never ran
            raise Killed
        result = await conversation
        if now:
            raise Killed
        return result


class MortalAdmin:
    """Handles deliveries until its bus dies; then the delivery comes again to a new process."""

    def __init__(self, bus: MortalBus) -> None:
        self.bus = bus
        self.deaths = 0

    async def handle(self, delivery: Any) -> None:
        try:
            await Orchestrator(self.bus).handle(delivery)
        except Killed:
            self.deaths += 1
            await delivery.hand_back(0.01)  # what the server does after ack_wait, only sooner


@pytest.mark.parametrize("when", ["before", "after"])
async def test_admin_killed_at_any_point_of_a_task_loses_nothing_and_does_nothing_twice(
    scene: Any, when: Literal["before", "after"]
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    admin = MortalAdmin(bus)
    scene.start_admin(admin.handle)
    scene.start_agents()
    bus.dies(0, when)
    await scene.ended(await scene.submit(scene.samples.submission()))
    await scene.settled("EVENTS")
    points = bus.conversations
    assert points >= 25  # five events, each with read, record, publish, row read and row write

    for point in range(1, points + 1):
        bus.dies(point, when)
        task = await scene.submit(scene.samples.submission())
        state = await scene.ended(task)
        await scene.settled("EVENTS")
        states = await scene.states(task)
        assert (state.status, state.reason) == ("completed", "Passed in round 1.")
        assert [s.cause for s in states] == list(states[-1].applied)
        assert len(states) == 5
        assert (await scene.row(task)).state.updated_at == states[-1].updated_at

    await bus.close()
    assert admin.deaths == points
    assert set(scene.executed.values()) == {1}
    assert await scene.dead_letters() == []


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_sweeper_killed_at_any_point_leaves_what_the_next_one_mends_once(
    scene: Any, when: Literal["before", "after"]
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    untaken, stuck = scene.samples.submission(), await scene.submit(scene.samples.submission())
    await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))
    await scene.bus.jetstream.purge_stream("WORK")
    row = TaskEntry(state=None, submitted=untaken, sequence=0)
    await KeyValue(scene.bus, subjects.TASKS).create(f"{untaken.tenant}.{untaken.task}", row.to_json())

    deaths = 0
    for point in range(1, 100):
        bus.dies(point, when)
        with contextlib.suppress(Killed):
            await sweeper_of(bus).turn()
            break
        deaths += 1
    await bus.close()

    assert deaths >= 10
    assert {command.task for command in await scene.queued("builder")} == {untaken.task, stuck.task}
    assert len(await scene.queued("builder")) == 2
    assert [len(await scene.states(task)) for task in (untaken, stuck)] == [1, 1]


def sweeper_of(bus: Bus) -> Sweeper:
    """One that comes when patience has just run out."""
    return Sweeper(bus, Orchestrator(bus), lambda: datetime.now(UTC) + PATIENCE + timedelta(seconds=1))


@pytest.mark.parametrize("when", ["before", "after"])
async def test_admin_killed_at_any_point_of_a_cancel_still_takes_the_step_away(
    scene: Any, when: Literal["before", "after"]
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    admin = MortalAdmin(bus)
    scene.start_admin(admin.handle)
    tasks = []
    for point in range(1, 7):  # read, record, ledger read and write, row read and write
        task = await scene.submit(scene.samples.submission())
        await scene.until(task, lambda state: state.step == "1-import")
        await scene.settled("TASKS")
        bus.dies(point, when)
        await scene.cancel(task)
        assert (await scene.ended(task)).status == "cancelled"
        await scene.settled("EVENTS")
        assert await ledger_status(scene.bus, "builder", task.task, "1-import") == "cancelled"
        tasks.append(task)
    await bus.close()
    assert admin.deaths == len(tasks)

    scene.start_agents()
    async with asyncio.timeout(10):
        while await scene.queued("builder"):
            await asyncio.sleep(0.01)
    assert scene.executed == {}


@pytest.mark.parametrize("when", ["before", "after"])
async def test_admin_killed_at_any_point_of_a_deadline_still_ends_the_task_and_takes_the_step_away(
    scene: Any, when: Literal["before", "after"]
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    admin = MortalAdmin(bus)
    for point in range(1, 7):  # read, record, ledger read and write, row read and write
        task = await scene.submit(scene.samples.late(seconds_left=0.2))
        await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))
        bus.dies(point, when)
        await admin.handle(await scene.next_delivery("TIMERS"))
        await admin.handle(await scene.next_delivery("TIMERS"))

        assert [state.status for state in await scene.states(task)] == ["running", "failed"]
        assert (await scene.row(task)).state.problem.code == "deadline"
        assert await ledger_status(scene.bus, "builder", task.task, "1-import") == "cancelled"
    await bus.close()
    assert admin.deaths == 6


@pytest.mark.parametrize("when", ["before", "after"])
async def test_admin_killed_at_any_point_of_an_approval_builds_once(
    scene: Any, when: Literal["before", "after"]
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    admin = MortalAdmin(bus)
    scene.start_admin(admin.handle)
    scene.start_agents()
    for point in range(1, 7):  # read, record, timer, command, row read and write
        task = await scene.submit(scene.samples.submission(options={"approve": ("design",)}))
        await scene.ended(task)
        await scene.settled("EVENTS")
        bus.dies(point, when)
        await scene.approve(task)
        assert (await scene.until(task, lambda state: state.status == "completed")).reason == "Passed in round 1."
        await scene.settled("EVENTS")
        assert len(await scene.states(task)) == 6
    await bus.close()
    assert admin.deaths == 6
    assert set(scene.executed.values()) == {1}


async def test_a_crash_between_recording_and_publishing_is_mended_even_when_the_task_was_cancelled_meanwhile(
    scene: Any,
) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    task = await scene.submit(scene.samples.submission())
    submission = await scene.next_delivery("TASKS")
    bus.dies(2, "after")
    with pytest.raises(Killed):
        await Orchestrator(bus).handle(submission)
    assert [state.step for state in await scene.states(task)] == ["1-import"]
    assert await scene.queued("builder") == []

    await scene.cancel(task)
    await Orchestrator(scene.bus).handle(await scene.next_delivery("EVENTS"))
    await Orchestrator(scene.bus).handle(submission)

    await bus.close()
    assert await scene.queued("builder") == []
    assert (await scene.row(task)).state.status == "cancelled"


async def test_a_recorded_state_binds_even_when_it_would_be_decided_differently_now(scene: Any) -> None:
    bus = await MortalBus.connect(scene.bus.settings)
    task = await scene.submit(scene.samples.submission(request="How does the lockout work?"))
    submission = await scene.next_delivery("TASKS")
    bus.dies(2, "after")
    with pytest.raises(Killed):
        await Orchestrator(bus).handle(submission)

    await Orchestrator(scene.bus, always("feature")).handle(submission)

    await bus.close()
    [command] = await scene.queued("architect")
    assert (command.step, command.task) == ("1-answer", task.task)
    assert await scene.queued("builder") == []


async def test_two_admins_with_the_same_events_at_the_same_time_command_each_step_once(scene: Any) -> None:
    others = [await Bus.connect(scene.bus.settings) for _ in range(2)]
    admins = [Orchestrator(bus) for bus in others]

    async def handle(delivery: Any) -> None:
        echo = deaf(delivery)
        await asyncio.gather(admins[0].handle(echo), admins[1].handle(echo))
        await (delivery.hand_back(0.01) if echo.handed_back else delivery.ack())

    async with scene.overheard("ws.v1.work.>") as said:
        scene.start_admin(handle)
        scene.start_agents()
        tasks = [await scene.submit(scene.samples.submission()) for _ in range(15)]
        states = await asyncio.gather(*(scene.ended(task) for task in tasks))
        await scene.settled("EVENTS")

    for bus in others:
        await bus.close()
    assert {state.reason for state in states} == {"Passed in round 1."}
    assert set(scene.executed.values()) == {1}
    for task in tasks:
        assert len(await scene.states(task)) == 5
    commands = defaultdict(set)
    for message in said:
        commands[message.headers["Nats-Msg-Id"]].add(bytes(message.data))
    assert len(commands) == 4 * len(tasks)
    assert {len(bodies) for bodies in commands.values()} == {1}


async def test_two_versions_of_admin_that_disagree_perform_only_what_was_recorded(scene: Any) -> None:
    other = await Bus.connect(scene.bus.settings)
    admins = [Orchestrator(scene.bus, always("question")), Orchestrator(other, always("feature"))]
    async with scene.overheard("ws.v1.work.>") as said:
        for _ in range(10):
            await scene.submit(scene.samples.submission())
            delivery = await scene.next_delivery("TASKS")
            await asyncio.gather(*(admin.handle(deaf(delivery)) for admin in admins))

    await other.close()
    steps = defaultdict(set)
    for message in said:
        steps[message.headers["ws-task"]].add(message.headers["ce-type"])
    assert [len(types) for types in steps.values()] == [1] * 10


async def test_two_admins_share_the_events_of_many_tasks(scene: Any) -> None:
    others = [await Bus.connect(scene.bus.settings) for _ in range(2)]
    for bus in others:
        scene.start_admin(Orchestrator(bus).handle, bus)
    scene.start_agents()

    tasks = [await scene.submit(scene.samples.submission()) for _ in range(30)]
    states = await asyncio.gather(*(scene.ended(task) for task in tasks))

    await scene.end()
    for bus in others:
        await bus.close()
    assert {state.reason for state in states} == {"Passed in round 1."}
    assert set(scene.executed.values()) == {1}


async def test_a_cancel_and_a_result_at_the_same_time_leave_the_task_cancelled_and_nothing_in_flight(
    scene: Any,
) -> None:
    orchestrator = Orchestrator(scene.bus)
    outcomes = set()
    for turn in range(12):
        task = await scene.submit(scene.samples.submission())
        await orchestrator.handle(await scene.next_delivery("TASKS"))
        [command] = (await scene.states(task))[-1].commands
        await scene.say(scene.samples.result(command))
        await scene.cancel(task)
        deliveries = [await scene.next_delivery("EVENTS"), await scene.next_delivery("EVENTS")]

        await asyncio.gather(*(orchestrator.handle(d) for d in (deliveries if turn % 2 else reversed(deliveries))))

        states = await scene.states(task)
        assert states[-1].status == "cancelled"
        for state in states[:-1]:
            if state.step and state.step != "1-import":
                service = {"2-design": "architect"}[state.step]
                assert await ledger_status(scene.bus, service, task.task, state.step) == "cancelled"
        outcomes.add(len(states))
    assert outcomes <= {2, 3}


def always(route: Route) -> ChooseRoute:
    """A cascade that is sure of one route."""

    async def choose(_: Any) -> RouteDecision:
        return RouteDecision(route=route, stage="rules", reason="always", confidence=1, latency_ms=0)

    return choose


def deaf(delivery: Any) -> Any:
    """The same delivery for two admins at once; what they say of its end is only noted."""

    class Deaf(type(delivery)):
        handed_back = False

        async def ack(self) -> None: ...

        async def hand_back(self, delay_seconds: float | None = None) -> None:
            self.handed_back = True

    return Deaf(**{field.name: getattr(delivery, field.name) for field in dataclasses.fields(delivery)})


async def ledger_status(bus: Bus, service: str, task: str, step: str) -> str | None:
    found = await KeyValue(bus, subjects.LEDGER).get(f"{service}.{task}.{step}")
    return LedgerEntry.model_validate_json(found.value).status if found else None
