"""A gateway whose reads are answered by a replica that lags still knows what it has just been told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.bus import Bus
from worksite.common.testing.lagging import LaggingBus
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import NewTask
from worksite.gateway.domain.uploads import Upload
from worksite.gateway.intake import Intake
from worksite.gateway.stream import Place, follow
from worksite.gateway.tasks import Tasks
from worksite.gateway.uploads import UploadRecords

pytestmark = pytest.mark.asyncio
ADA = Principal("ada", "acme", frozenset({"developer"}), "id", 0)
BODY = b'{"request": "Create auth system"}'


@pytest_asyncio.fixture
async def lagging(bus: Bus) -> AsyncIterator[LaggingBus]:
    connection = await LaggingBus.connect(bus.settings)
    assert isinstance(connection, LaggingBus)
    yield connection
    await connection.close()


async def submitted(bus: Bus, key: str | None = None) -> str:
    wanted = NewTask.model_validate_json(BODY)
    return (await Intake(bus, Tasks(bus)).submit(ADA, wanted, BODY, key)).submitted.task


async def test_a_task_that_was_just_accepted_is_found(bus: Bus, lagging: LaggingBus) -> None:
    await lagging.fall_behind("KV_tasks")
    task = await submitted(bus)

    found = await Tasks(lagging).get("acme", task)

    assert found
    assert found.submitted.task == task
    assert await Tasks(lagging).get("acme", "0" * 32) is None


async def test_the_same_key_is_the_same_task_though_its_row_cannot_be_seen_yet(bus: Bus, lagging: LaggingBus) -> None:
    await lagging.fall_behind("KV_tasks")
    first = await submitted(bus, "order-66")

    assert await submitted(lagging, "order-66") == first
    assert len(await bus.read("TASKS", subjects.task_subject("acme"), 0)) == 1


async def test_an_upload_that_was_just_stored_is_found(bus: Bus, lagging: LaggingBus) -> None:
    upload = Upload(
        sha256="a" * 64,
        size=1,
        media_type="application/zip",
        format="zip",
        principal="ada",
        uploaded_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    await lagging.fall_behind("KV_uploads")
    await UploadRecords(bus).put("acme", upload)

    assert await UploadRecords(lagging).get("acme", upload.sha256) == upload


async def test_a_reader_of_all_events_waits_for_a_replica_that_has_them_all(
    bus: Bus, lagging: LaggingBus, admin: Any
) -> None:
    async def admitted() -> bool:
        return True

    task = await submitted(bus)
    await lagging.fall_behind("EVENTS")
    await admin.advance(task)
    frames = follow(lagging, Place("acme", task, 0), asyncio.Event(), admitted, wait=False)
    first = asyncio.ensure_future(anext(frames))
    done, _ = await asyncio.wait({first}, timeout=0.2)
    assert not done

    lagging.catch_up()

    assert task.encode() in await first
    assert [frame async for frame in frames] == []
