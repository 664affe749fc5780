"""What services read back from buckets may be junk as well: each has an outcome, in a test of whoever reads it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from worksite.admin.handlers import Orchestrator
from worksite.admin.inbox import parse
from worksite.admin.sweeper import Sweeper
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Envelope, KeyValue, consume
from worksite.common.dead_letters import Original
from worksite.common.errors import ArtifactCorrupt
from worksite.common.ledger import Ledger, LedgerEntry
from worksite.common.messages import DeadLetter, ImportProject, TaskEntry
from worksite.common.testing import examples
from worksite.common.testing.examples import TASK, TENANT
from worksite.common.worker import Reply, Worker

ROOT = Path(__file__).parents[2]
_HERE = "tests/poison/test_poison_rows.py"
_GATEWAY = "services/gateway/tests/test_gateway_poison_rows.py"
TESTED_BY = {
    subjects.LEDGER: f"{_HERE}::test_a_command_whose_ledger_entry_cannot_be_read_is_a_dead_letter_and_the_next_is_done",
    subjects.TASKS: f"{_GATEWAY}::test_an_unreadable_task_is_not_found_and_the_list_shows_the_others",
    subjects.IDEMPOTENCY: f"{_GATEWAY}::test_a_key_whose_lock_is_unreadable_asks_for_a_new_key_and_submits_nothing",
    subjects.REVOKED: f"{_GATEWAY}::test_a_revocation_holds_whatever_its_value_is",
    subjects.UPLOADS: f"{_GATEWAY}::test_an_unreadable_upload_is_as_good_as_expired_and_uploading_it_again_mends_it",
    subjects.DOCUMENTS: f"{_GATEWAY}::test_an_unreadable_document_is_left_out_and_sending_it_again_mends_it",
    subjects.LETTERS: f"{_GATEWAY}::test_a_letter_whose_mark_is_unreadable_is_open",
    subjects.MODELS: "libs/common/tests/llm/test_llm_budgets.py::test_a_budget_that_cannot_be_read_is_no_budget",
    subjects.ARTIFACTS: f"{_HERE}::test_an_artifact_whose_metadata_cannot_be_read_is_corrupt_not_missing",
    subjects.KNOWLEDGE: f"{_HERE}::test_an_artifact_whose_metadata_cannot_be_read_is_corrupt_not_missing",
}
JUNK = pytest.mark.parametrize("junk", [b"", b"{", b"[]", b"\xff" * 1024])
IMPORT = examples.commands()[0]
STEP = f"builder.{TASK}.{IMPORT.step}"


async def put(bus: Bus, bucket: str, key: str, junk: bytes) -> None:
    await bus.publish_raw(f"$KV.{bucket}.{key}", junk, {})


@pytest.mark.parametrize("bucket", [spec.name for spec in (*subjects.BUCKETS, *subjects.OBJECT_STORES)])
def test_every_bucket_and_store_of_the_table_has_a_test_of_what_cannot_be_read(bucket):
    path, name = TESTED_BY[bucket].split("::")
    assert f"def {name}(" in (ROOT / path).read_text()


@pytest.mark.asyncio
@JUNK
@pytest.mark.parametrize("store", [spec.name for spec in subjects.OBJECT_STORES])
async def test_an_artifact_whose_metadata_cannot_be_read_is_corrupt_not_missing(bus, store, junk):
    artifacts = Artifacts(bus, store=store)
    ref = await artifacts.put(b"# x", "text/markdown")
    [metadata] = await bus.read(f"OBJ_{store}", f"$O.{store}.M.>", 0)
    await bus.publish_raw(metadata.subject, junk, {})

    with pytest.raises(ArtifactCorrupt, match="cannot be read"):
        await artifacts.get(ref)


@pytest.mark.asyncio
@JUNK
async def test_a_command_whose_ledger_entry_cannot_be_read_is_a_dead_letter_and_the_next_is_done(bus, junk):
    done: list[str] = []

    async def work(command, context):
        done.append(command.step)
        return Reply(examples.imported_project())

    await put(bus, subjects.LEDGER, STEP, junk)
    for step in ("1-import", "5-import"):
        command = IMPORT.model_copy(update={"step": step})
        envelope = Envelope(command.ce_type(), "admin", TENANT, TASK)
        await bus.publish(subjects.work_subject("builder", TENANT), command, envelope)
    stop = asyncio.Event()
    handle = Worker(bus, "builder", {ImportProject: work}).handle
    running = asyncio.create_task(consume(bus, "WORK", "builder", handle, concurrency=1, stop=stop))
    async with asyncio.timeout(60):
        while (await bus.jetstream.stream_info("WORK")).state.messages:
            await asyncio.sleep(0.01)
    stop.set()
    await running

    [stored] = await bus.read("DEAD", subjects.dead_subject("builder", TENANT), 0)
    assert f"the ledger's entry {STEP} cannot be read" in DeadLetter.consume(stored.data).reason
    assert done == ["5-import"]


@pytest.mark.asyncio
@JUNK
async def test_admin_can_take_a_step_away_although_its_ledger_entry_cannot_be_read(bus, junk):
    await put(bus, subjects.LEDGER, STEP, junk)

    await Ledger(bus, "admin").cancel("builder", TASK, IMPORT.step)

    found = await KeyValue(bus, subjects.LEDGER).get(STEP)
    assert found
    assert LedgerEntry.model_validate_json(found.value).status == "cancelled"


@pytest.mark.asyncio
@JUNK
@pytest.mark.parametrize("known", [True, False])
async def test_a_task_whose_row_cannot_be_read_shows_again_where_its_state_is_known_and_stops_no_sweep(
    bus, junk, known
):
    orchestrator = Orchestrator(bus)
    submission = examples.submit_task(submitted_at=datetime.now(UTC))
    if known:
        headers = Envelope(submission.ce_type(), "gateway", TENANT, TASK).headers()
        await orchestrator.apply(parse(Original(subjects.task_subject(TENANT), submission.to_json(), headers)))
    await put(bus, subjects.TASKS, f"{TENANT}.{TASK}", junk)

    await Sweeper(bus, orchestrator, now=lambda: datetime.now(UTC) + timedelta(minutes=5)).turn()

    found = await KeyValue(bus, subjects.TASKS).get(f"{TENANT}.{TASK}")
    assert found
    if known:
        assert TaskEntry.consume(found.value).state
    else:
        assert found.value == junk
