"""Admin whose reads are answered by a replica that lags: nothing is decided for good on what is old."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from worksite.admin.handlers import NotYet, Orchestrator
from worksite.admin.inbox import parse
from worksite.admin.sweeper import PATIENCE, Sweeper
from worksite.common import subjects
from worksite.common.errors import Conflict
from worksite.common.messages import InputGiven, SubmitTask
from worksite.common.testing.lagging import LaggingBus

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def lagging(scene: Any) -> AsyncIterator[LaggingBus]:
    connection = await LaggingBus.connect(scene.bus.settings)
    assert isinstance(connection, LaggingBus)
    yield connection
    await connection.close()


async def asked(scene: Any, lagging: LaggingBus) -> SubmitTask:
    """A task that has a question, which the replica does not know yet: it still shows the task at work."""
    admin = Orchestrator(scene.bus)
    task = await scene.submit(scene.samples.submission(route="design"))
    await admin.handle(await scene.next_delivery("TASKS"))
    await lagging.fall_behind("EVENTS")
    (command,) = await scene.queued("builder")
    await scene.say(scene.samples.result(command, scene.samples.question(), "needs_input"))
    await admin.handle(await scene.next_delivery("EVENTS"))
    return task


async def answered(scene: Any, task: SubmitTask) -> InputGiven:
    given = scene.samples.input_given(task)
    await scene.publish(subjects.event_subject(task.tenant, task.task, "gateway", "task", "input"), given, "gateway")
    return given


async def test_an_answer_to_a_question_that_the_replica_has_not_seen_is_not_lost(
    scene: Any, lagging: LaggingBus
) -> None:
    task = await asked(scene, lagging)
    await answered(scene, task)

    delivery = await scene.next_delivery("EVENTS")
    await Orchestrator(lagging).handle(delivery)
    assert delivery.outcome == "handed_back"

    lagging.catch_up()
    delivery = await scene.next_delivery("EVENTS")
    await Orchestrator(lagging).handle(delivery)
    assert delivery.outcome == "acked"
    assert (await scene.states(task))[-1].status == "running"


async def test_a_submission_whose_states_the_replica_has_not_seen_is_not_opened_again(
    scene: Any, lagging: LaggingBus
) -> None:
    await lagging.fall_behind("EVENTS")
    task = await scene.submit(scene.samples.submission())
    event = parse(await scene.next_delivery("TASKS"))
    await Orchestrator(scene.bus).apply(event)

    with pytest.raises(Conflict):
        await Orchestrator(lagging).apply(event)
    assert len(await scene.states(task)) == 1


async def test_an_event_whose_state_only_one_replica_has_seen_comes_again(scene: Any, lagging: LaggingBus) -> None:
    class Torn(LaggingBus):
        """Its last message comes from a replica that is up to date, its history from one that is not."""

        async def tip(self, stream: str, subject: str, *, history: bool = True) -> Any:
            return await scene.bus.tip(stream, subject, history=history)

    torn = await Torn.connect(scene.bus.settings)
    assert isinstance(torn, Torn)
    await torn.fall_behind("EVENTS")
    await scene.submit(scene.samples.submission())
    event = parse(await scene.next_delivery("TASKS"))
    await Orchestrator(scene.bus).apply(event)

    with pytest.raises(NotYet):
        await Orchestrator(torn).apply(event)
    await torn.close()


@pytest.mark.parametrize("stream", ["EVENTS", "KV_tasks"])
async def test_the_sweeper_does_not_forget_a_task_that_the_replica_has_not_seen(scene: Any, stream: str) -> None:
    class Torn(LaggingBus):
        """Lists come from a replica that is up to date, what is last on a subject from one that is not."""

        async def read(self, stream: str, subject_filter: str, after: int, limit: int = 256) -> Any:
            return await scene.bus.read(stream, subject_filter, after, limit)

    torn = await Torn.connect(scene.bus.settings)
    assert isinstance(torn, Torn)
    await torn.fall_behind(stream)
    task = await scene.submit(scene.samples.submission())
    await Orchestrator(scene.bus).handle(await scene.next_delivery("TASKS"))
    later = datetime.now(UTC) + PATIENCE + timedelta(seconds=1)
    sweeper = Sweeper(torn, Orchestrator(torn), lambda: later)
    await sweeper.turn()
    torn.catch_up()
    await scene.bus.jetstream.purge_stream("WORK")

    await sweeper.turn()

    assert [command.task for command in await scene.queued("builder")] == [task.task]
    await torn.close()
