"""Idempotency keys: one key and body is one task, whatever dies in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import BusUnavailable, PayloadTooLarge
from worksite.common.messages import SubmitTask, TaskEntry
from worksite.common.testing import NatsServer
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import NewTask
from worksite.gateway.intake import Intake
from worksite.gateway.tasks import Tasks

KEY = {"Idempotency-Key": "order-66"}
BODY = {"request": "Create auth system"}
ADA = Principal("ada", "acme", frozenset({"developer"}), "id", 0)


async def send(client: httpx.AsyncClient, body: Any = BODY, headers: dict[str, str] = KEY) -> httpx.Response:
    return await client.post("/v1/tasks", json=body, headers=headers)


@pytest.mark.asyncio
async def test_the_same_key_and_body_is_the_same_task(client: httpx.AsyncClient, admin: Any) -> None:
    first, second = await send(client), await send(client)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json() == second.json()
    assert first.headers["location"] == second.headers["location"]
    assert len(await admin.submitted()) == 1


@pytest.mark.asyncio
async def test_a_repeat_shows_the_task_as_it_is_now(client: httpx.AsyncClient, admin: Any) -> None:
    task = (await send(client)).json()["id"]
    await admin.take_up_all()
    await admin.advance(task, "completed")

    assert (await send(client)).json()["status"] == "completed"
    assert await admin.submitted() == []


@pytest.mark.asyncio
async def test_the_same_key_with_another_body_is_refused(client: httpx.AsyncClient, admin: Any) -> None:
    await send(client)

    answer = await send(client, {"request": "Create something else"})

    assert (answer.status_code, answer.json()["type"]) == (422, "urn:worksite:problem:idempotency-key-reused")
    assert len(await admin.submitted()) == 1


@pytest.mark.asyncio
async def test_tenants_do_not_share_keys(client: httpx.AsyncClient, mint: Callable[..., str]) -> None:
    mine = await send(client)

    theirs = await send(client, headers=KEY | {"Authorization": f"Bearer {mint(tenant='beta')}"})

    assert theirs.status_code == 202
    assert theirs.json()["id"] != mine.json()["id"]


@pytest.mark.asyncio
async def test_principals_of_one_tenant_do_not_share_keys(client: httpx.AsyncClient, mint: Callable[..., str]) -> None:
    mine = await send(client)

    theirs = await send(client, {"request": "Else"}, KEY | {"Authorization": f"Bearer {mint(sub='bob')}"})

    assert theirs.status_code == 202
    assert theirs.json()["id"] != mine.json()["id"]


@pytest.mark.asyncio
async def test_what_cannot_be_shown_is_refused_before_it_is_published_or_uses_a_key_up(bus: Bus, admin: Any) -> None:
    too_large = Principal("s" * 70_000, "acme", frozenset({"developer"}), "id", 0)

    with pytest.raises(PayloadTooLarge):
        await Intake(bus, Tasks(bus)).submit(too_large, NewTask(request="x"), b"body", "key")

    assert await admin.submitted() == []
    assert await KeyValue(bus, subjects.IDEMPOTENCY).entries("acme") == []


@pytest.mark.asyncio
async def test_without_a_key_every_request_is_its_own_task(client: httpx.AsyncClient, admin: Any) -> None:
    first, second = await send(client, headers={}), await send(client, headers={})

    assert first.json()["id"] != second.json()["id"]
    assert len(await admin.submitted()) == 2


@pytest.mark.asyncio
async def test_an_invalid_body_does_not_use_the_key_up(client: httpx.AsyncClient) -> None:
    assert (await send(client, {"request": 1})).status_code == 422

    assert (await send(client)).status_code == 202


@pytest.mark.asyncio
async def test_many_at_once_with_one_key_make_one_task(client: httpx.AsyncClient, admin: Any) -> None:
    answers = await asyncio.gather(*(send(client) for _ in range(10)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert len(await admin.submitted()) == 1


class DyingTasks(Tasks):
    """The process dies, or the bus goes away, after the ack and before the entry."""

    def __init__(self, bus: Bus, error: BaseException) -> None:
        super().__init__(bus)
        self._error = error

    async def accepted(self, entry: TaskEntry) -> TaskEntry:
        raise self._error


@pytest.mark.asyncio
async def test_a_repeat_finishes_what_died_after_the_publish(bus: Bus, admin: Any) -> None:
    dying = Intake(bus, DyingTasks(bus, asyncio.CancelledError()))
    with pytest.raises(asyncio.CancelledError):
        await dying.submit(ADA, NewTask(request="x"), b"body", "key")

    entry = await Intake(bus, Tasks(bus)).submit(ADA, NewTask(request="x"), b"body", "key")

    [(command, _)] = await admin.submitted()
    assert command == entry.submitted
    assert await Tasks(bus).get("acme", command.task) == entry


@pytest.mark.asyncio
async def test_a_repeat_finishes_what_died_before_the_publish(bus: Bus, admin: Any) -> None:
    class DyingIntake(Intake):
        async def _publish(self, command: SubmitTask) -> None:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await DyingIntake(bus, Tasks(bus)).submit(ADA, NewTask(request="x"), b"body", "key")
    assert await admin.submitted() == []

    entry = await Intake(bus, Tasks(bus)).submit(ADA, NewTask(request="x"), b"body", "key")

    assert [command for command, _ in await admin.submitted()] == [entry.submitted]


@pytest.mark.asyncio
async def test_a_copy_that_the_stream_no_longer_recognises_is_recognisable_to_admin(bus: Bus, admin: Any) -> None:
    """After ten minutes the stream forgets message ids; here it forgets because the first copy has been consumed and
    the deduplication is switched off. The second copy is the same command under the same ce-id."""
    stream = await bus.jetstream.stream_info("TASKS")
    stream.config.duplicate_window = 0.1
    await bus.jetstream.update_stream(stream.config)
    with pytest.raises(asyncio.CancelledError):
        await Intake(bus, DyingTasks(bus, asyncio.CancelledError())).submit(ADA, NewTask(request="x"), b"b", "key")
    while len(copies := await admin.submitted()) < 2:
        with pytest.raises(asyncio.CancelledError):
            await Intake(bus, DyingTasks(bus, asyncio.CancelledError())).submit(ADA, NewTask(request="x"), b"b", "key")

    (first, first_headers), (second, second_headers) = copies
    assert first == second
    assert first_headers["ce-id"] == second_headers["ce-id"] == first.task


@pytest.mark.asyncio
async def test_a_task_that_is_stored_is_accepted_even_if_it_cannot_be_shown_yet(bus: Bus, admin: Any) -> None:
    intake = Intake(bus, DyingTasks(bus, BusUnavailable("gone")))

    entry = await intake.submit(ADA, NewTask(request="x"), b"body", None)

    assert [command for command, _ in await admin.submitted()] == [entry.submitted]


@pytest.mark.asyncio
async def test_an_entry_that_admin_wrote_first_stands(bus: Bus) -> None:
    submitted = NewTask(request="x").command("0" * 32, "acme", "ada", Intake(bus, Tasks(bus))._now())
    theirs = TaskEntry(state=None, submitted=submitted, sequence=7)
    await KeyValue(bus, subjects.TASKS).create(f"acme.{submitted.task}", theirs.to_json())

    ours = TaskEntry(state=None, submitted=submitted, sequence=0)
    assert await Tasks(bus).accepted(ours) == theirs


@pytest.mark.asyncio
async def test_what_is_refused_during_an_outage_does_not_run_when_it_is_over(
    bus: Bus, admin: Any, nats_server: NatsServer, wait_until: Callable[..., Any]
) -> None:
    """nats-py would keep a publish while it reconnects and send it later, long after the client was told no."""
    nats_server.kill()
    await wait_until(lambda: not bus.connected)
    with pytest.raises(BusUnavailable):
        await Intake(bus, Tasks(bus)).submit(ADA, NewTask(request="x"), b"body", None)
    nats_server.start()
    await wait_until(lambda: bus.connected)

    assert await admin.submitted() == []
