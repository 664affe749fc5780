"""What the library makes of reads that a lagging replica answers; see `worksite.common.testing.lagging`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Delivery, Envelope, KeyValue
from worksite.common.errors import ArtifactMissing, BusUnavailable
from worksite.common.ledger import Claim, Ledger
from worksite.common.messages import ArtifactRef, ImportProject
from worksite.common.testing import examples
from worksite.common.testing.examples import TASK, TENANT
from worksite.common.testing.lagging import LaggingBus
from worksite.common.worker import Reply, Worker

pytestmark = pytest.mark.asyncio
IMPORT = examples.commands()[0]
RESULT_SUBJECT = subjects.event_subject(TENANT, TASK, "builder", IMPORT.step, "result")


@pytest_asyncio.fixture
async def lagging(bus: Bus) -> AsyncIterator[LaggingBus]:
    connection = await LaggingBus.connect(bus.settings)
    assert isinstance(connection, LaggingBus)
    yield connection
    await connection.close()


async def claimed(bus: Bus) -> Claim:
    claim = await Ledger(bus, "builder").claim(TASK, IMPORT.step, "w")
    assert isinstance(claim, Claim)
    return claim


@pytest.mark.parametrize("before", ["nobody", "another"])
async def test_a_claim_that_a_lagging_replica_does_not_know_yet_holds(
    bus: Bus, lagging: LaggingBus, before: str
) -> None:
    if before == "another":
        await claimed(bus)
    await lagging.fall_behind("KV_ledger")
    claim = await claimed(bus)

    assert await Ledger(lagging, "builder").holds(claim)

    await claimed(bus)
    lagging.catch_up()
    assert not await Ledger(lagging, "builder").holds(claim)


async def test_a_result_that_is_taken_and_cannot_be_seen_is_not_acked_away(bus: Bus, lagging: LaggingBus) -> None:
    """What conflicts may be a result in flight, which is lost when the leader dies before it is stored."""
    await lagging.fall_behind("EVENTS")
    result = examples.step_result(examples.imported_project(), step=IMPORT.step, agent="builder")
    await bus.publish(RESULT_SUBJECT, result, Envelope(result.ce_type(), "builder", TENANT, TASK))
    await Ledger(bus, "builder").record(await claimed(bus), result)
    envelope = Envelope(IMPORT.ce_type(), "admin", TENANT, TASK)
    await bus.publish(subjects.work_subject("builder", TENANT), IMPORT, envelope)
    worker = Worker(lagging, "builder", {ImportProject: _never})

    delivery = await next_delivery(bus)
    await worker.handle(delivery)
    assert delivery.outcome == "handed_back"

    lagging.catch_up()
    delivery = await next_delivery(bus)
    await worker.handle(delivery)
    assert delivery.outcome == "acked"
    assert len(await bus.read("EVENTS", RESULT_SUBJECT, 0)) == 1


async def _never(*_: object) -> Reply:
    raise AssertionError("the step is done already")


async def next_delivery(bus: Bus) -> Delivery:
    subscription = await bus.jetstream.pull_subscribe_bind("builder", "WORK")
    try:
        return Delivery.of((await subscription.fetch(1, timeout=10))[0])
    finally:
        await subscription.unsubscribe()


async def test_an_artifact_that_a_replica_does_not_have_yet_is_late_not_missing(bus: Bus, lagging: LaggingBus) -> None:
    await lagging.fall_behind("OBJ_artifacts")
    ref = await Artifacts(bus).put(b"blob", "text/plain")

    with pytest.raises(BusUnavailable, match="lags"):
        await Artifacts(lagging).get(ref)

    lagging.catch_up()
    assert await Artifacts(lagging).get(ref) == b"blob"


async def test_an_artifact_that_nobody_has_is_missing_also_while_a_replica_lags(lagging: LaggingBus) -> None:
    await lagging.fall_behind("OBJ_artifacts")
    with pytest.raises(ArtifactMissing):
        await Artifacts(lagging).get(ArtifactRef(sha256="a" * 64, size=1, media_type="text/plain"))


async def test_the_leader_knows_the_row_that_a_replica_does_not(bus: Bus, lagging: LaggingBus) -> None:
    await lagging.fall_behind("KV_tasks")
    revision = await KeyValue(bus, subjects.TASKS).create("acme.t", b"1")
    rows = KeyValue(lagging, subjects.TASKS)
    newest = await rows.newest("acme.t")
    assert await rows.get("acme.t") is None
    assert newest
    assert (newest.value, newest.revision) == (b"1", revision)


async def test_who_claims_on_an_old_row_is_sent_away_until_the_replica_has_caught_up(
    bus: Bus, lagging: LaggingBus
) -> None:
    await lagging.fall_behind("KV_ledger")
    await claimed(bus)
    async with asyncio.timeout(10):
        with pytest.raises(BusUnavailable, match="a replica lags"):
            await Ledger(lagging, "builder").claim(TASK, IMPORT.step, "late")
    lagging.catch_up()
    claim = await Ledger(lagging, "builder").claim(TASK, IMPORT.step, "late")
    assert isinstance(claim, Claim)
    assert claim.entry.holder == "late"


async def test_who_takes_a_step_away_on_an_old_row_is_sent_away_until_the_replica_has_caught_up(
    bus: Bus, lagging: LaggingBus
) -> None:
    await lagging.fall_behind("KV_ledger")
    await claimed(bus)
    async with asyncio.timeout(10):
        with pytest.raises(BusUnavailable, match="a replica lags"):
            await Ledger(lagging, "admin").cancel("builder", TASK, IMPORT.step)
    lagging.catch_up()
    await Ledger(lagging, "admin").cancel("builder", TASK, IMPORT.step)
    assert await Ledger(bus, "builder").claim(TASK, IMPORT.step, "late") is None


async def test_a_blob_that_a_lagging_replica_still_shows_after_its_removal_is_stored(
    bus: Bus, lagging: LaggingBus
) -> None:
    ref = await Artifacts(bus).put(b"data", "text/plain")
    await lagging.fall_behind("OBJ_artifacts")
    await Artifacts(bus).remove(ref)
    async with asyncio.timeout(10):
        await Artifacts(lagging).put(b"data", "text/plain")
    assert await Artifacts(bus).get(ref) == b"data"
