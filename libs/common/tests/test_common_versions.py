"""An upgrade and a rollback: workers of an older and of a newer version take from one stream at the same time."""

import asyncio
import json
from collections import Counter

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common import worker as worker_module
from worksite.common.bus import Bus, Envelope
from worksite.common.ids import new_id
from worksite.common.messages import BuildChange, ImportProject, StepResult
from worksite.common.testing import examples
from worksite.common.testing.examples import TENANT
from worksite.common.worker import Reply, Worker

KNOWN_TO_BOTH, KNOWN_TO_THE_NEWER = ImportProject, BuildChange
EXAMPLES = {type(command): command for command in examples.commands()}
DATA = {ImportProject: examples.imported_project(), BuildChange: examples.changeset()}
SHARED_BY = 12
"""Commands of each kind: enough that both versions have their part."""


@pytest.fixture(autouse=True)
def quick_hand_backs(monkeypatch):
    monkeypatch.setattr(worker_module, "UNKNOWN_TYPE_DELAY_SECONDS", 0.01)


class Fleet:
    """Builders of two versions, each on a connection of its own; who did what how often."""

    def __init__(self, bus):
        self.bus, self.done = bus, Counter()
        self._running = {}

    async def start(self, version, *kinds):
        async def handle(command, _):
            self.done[version, type(command), command.task] += 1
            await asyncio.sleep(0)
            return Reply(DATA[type(command)])

        bus, stop = await Bus.connect(self.bus.settings), asyncio.Event()
        worker = Worker(bus, "builder", dict.fromkeys(kinds, handle))
        self._running[version] = bus, stop, asyncio.create_task(worker.run(stop, grace_seconds=5))

    async def end(self, version):
        bus, stop, running = self._running.pop(version)
        stop.set()
        await running
        await bus.close()

    async def end_all(self):
        for version in list(self._running):
            await self.end(version)

    async def command(self, kind):
        """As a newer admin writes it: with a field that no reader of today knows."""
        command = EXAMPLES[kind].model_copy(update={"task": new_id()})
        body = json.loads(command.to_json()) | {"field_of_tomorrow": {"a": 1}}
        headers = Envelope(command.ce_type(), "admin", TENANT, command.task).headers()
        await self.bus.publish_raw(subjects.work_subject("builder", TENANT), json.dumps(body).encode(), headers)
        return kind, command.task

    async def until_left(self, waiting):
        """WORK holds so many commands."""
        async with asyncio.timeout(60):
            while (await self.bus.jetstream.stream_info("WORK")).state.messages != waiting:
                await asyncio.sleep(0.01)

    async def until_handed_back(self):
        """A command came, and will come again."""
        async with asyncio.timeout(60):
            while (await self.bus.jetstream.consumer_info("WORK", "builder")).num_redelivered == 0:
                await asyncio.sleep(0.01)

    def versions_of(self, kind):
        return {version for version, each, _ in self.done if each is kind}

    async def results(self, kind, task):
        subject = subjects.event_subject(TENANT, task, "builder", EXAMPLES[kind].step, "result")
        return [StepResult.consume(stored.data).reply.status for stored in await self.bus.read("EVENTS", subject, 0)]


@pytest_asyncio.fixture
async def fleet(bus):
    fleet = Fleet(bus)
    yield fleet
    await fleet.end_all()


@pytest.mark.asyncio
async def test_an_older_and_a_newer_version_share_a_stream_through_an_upgrade_and_a_rollback(fleet):
    await fleet.start("older", KNOWN_TO_BOTH)
    await fleet.start("newer", KNOWN_TO_BOTH, KNOWN_TO_THE_NEWER)
    kinds = (KNOWN_TO_BOTH, KNOWN_TO_THE_NEWER) * SHARED_BY
    sent = [await fleet.command(kind) for kind in kinds]
    await fleet.until_left(0)
    assert fleet.versions_of(KNOWN_TO_THE_NEWER) == {"newer"}

    await fleet.end("newer")  # the rollback
    sent += [waits := await fleet.command(KNOWN_TO_THE_NEWER), await fleet.command(KNOWN_TO_BOTH)]
    await fleet.until_left(1)
    await fleet.until_handed_back()
    assert await fleet.results(*waits) == []

    await fleet.end("older")  # and the upgrade, once more
    await fleet.start("newer", KNOWN_TO_BOTH, KNOWN_TO_THE_NEWER)
    await fleet.until_left(0)

    assert fleet.versions_of(KNOWN_TO_BOTH) >= {"older"}
    assert Counter((kind, task) for _, kind, task in fleet.done.elements()) == Counter(sent)
    assert [await fleet.results(*each) for each in sent] == [["ok"]] * len(sent)
    assert await fleet.bus.last("DEAD", subjects.dead_subject("builder", TENANT)) is None
