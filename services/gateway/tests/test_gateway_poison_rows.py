"""Rows that nobody can read: each has an outcome, and hides no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope
from worksite.common.messages import StepProgress, document_id
from worksite.gateway.auth.revocations import storage_key
from worksite.gateway.domain import idempotency
from worksite.gateway.uploads import UploadRecords

JUNK = [b"", b"{", b"[]", b"\xff" * 1024, b'{"type": "spec"}']
UNREADABLE = pytest.mark.parametrize("junk", JUNK)


async def put(bus: Bus, bucket: str, key: str, junk: bytes) -> None:
    """Over whatever is there."""
    await bus.publish_raw(f"$KV.{bucket}.{key}", junk, {})


@UNREADABLE
@pytest.mark.asyncio
async def test_an_unreadable_task_is_not_found_and_the_list_shows_the_others(
    client: httpx.AsyncClient, submit: Callable[..., Any], bus: Bus, junk: bytes
) -> None:
    lost, seen = await submit(), await submit()
    await put(bus, subjects.TASKS, f"acme.{lost}", junk)

    answers = [
        await client.get(f"/v1/tasks/{lost}"),
        await client.get(f"/v1/tasks/{lost}/events"),
        await client.post(f"/v1/tasks/{lost}/cancel"),
    ]
    listed = await client.get("/v1/tasks")

    assert {answer.status_code for answer in answers} == {404}
    assert [task["id"] for task in listed.json()["tasks"]] == [seen]


@UNREADABLE
@pytest.mark.asyncio
async def test_a_key_whose_lock_is_unreadable_asks_for_a_new_key_and_submits_nothing(
    client: httpx.AsyncClient, bus: Bus, admin: Any, junk: bytes
) -> None:
    key = idempotency.storage_key("acme", "ada", "POST /v1/tasks", "k")
    await put(bus, subjects.IDEMPOTENCY, key, junk)

    refused = await client.post("/v1/tasks", json={"request": "x"}, headers={"Idempotency-Key": "k"})
    accepted = await client.post("/v1/tasks", json={"request": "x"}, headers={"Idempotency-Key": "another"})

    assert (refused.status_code, refused.json()["type"]) == (422, "urn:worksite:problem:idempotency-key-reused")
    assert [command.task for command, _ in await admin.submitted()] == [accepted.json()["id"]]


@UNREADABLE
@pytest.mark.asyncio
async def test_a_revocation_holds_whatever_its_value_is(
    client: httpx.AsyncClient, bus: Bus, mint: Callable[..., str], junk: bytes
) -> None:
    await put(bus, subjects.REVOKED, storage_key("stolen"), junk)

    answer = await client.get("/v1/tasks", headers={"Authorization": f"Bearer {mint(jti='stolen')}"})

    assert answer.status_code == 401


@UNREADABLE
@pytest.mark.asyncio
async def test_an_unreadable_upload_is_as_good_as_expired_and_uploading_it_again_mends_it(
    client: httpx.AsyncClient, bus: Bus, junk: bytes
) -> None:
    async def send() -> httpx.Response:
        body, headers = b"# v2 git bundle\n", {"Content-Type": "application/x-git-bundle"}
        return await client.post("/v1/uploads", content=body, headers=headers)

    upload = (await send()).json()["id"]
    await put(bus, subjects.UPLOADS, f"acme.{upload}", junk)

    lost = await client.get(f"/v1/uploads/{upload}")
    task = await client.post("/v1/tasks", json={"request": "x", "project": {"upload": upload}})
    again = await send()

    assert lost.status_code == 404
    assert (task.status_code, "POST it to /v1/uploads" in task.text) == (422, True)
    assert again.is_success
    assert [record.sha256 for record in await UploadRecords(bus).all("acme")] == [upload]


@UNREADABLE
@pytest.mark.asyncio
async def test_an_unreadable_document_is_left_out_and_sending_it_again_mends_it(
    client: httpx.AsyncClient, bus: Bus, junk: bytes
) -> None:
    async def send(*paths: str) -> httpx.Response:
        documents = [{"path": path, "text": "# x"} for path in paths]
        return await client.post("/v1/knowledge/documents", json={"documents": documents})

    async def paths() -> list[str]:
        return [row["path"] for row in (await client.get("/v1/knowledge/documents")).json()["documents"]]

    lost = document_id("a.md")
    await send("a.md", "b.md")
    await put(bus, subjects.DOCUMENTS, f"acme.{lost}", junk)

    assert await paths() == ["b.md"]
    assert (await client.delete(f"/v1/knowledge/documents/{lost}")).status_code == 404
    assert (await send("a.md")).status_code == 202
    assert sorted(await paths()) == ["a.md", "b.md"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff" * 1024])
@pytest.mark.asyncio
async def test_an_event_that_is_no_json_is_left_out_and_those_behind_it_arrive(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus, body: bytes
) -> None:
    task = await submit()
    event = StepProgress(task=task, tenant="acme", step="1-import", text="cloning")
    subject = subjects.event_subject("acme", task, "builder", "1-import", "progress")
    envelope = Envelope(event.ce_type(), "builder", "acme", task)
    await bus.publish_raw(subject, body, envelope.headers())
    behind = await bus.publish(subject, event, envelope)
    last = await admin.advance(task, "completed")

    answer = await client.get(f"/v1/tasks/{task}/events")

    shown = [json.loads(line[5:])["sequence"] for line in answer.text.splitlines() if line.startswith("data:")]
    assert shown == [behind, last]


@pytest.mark.asyncio
async def test_only_admin_can_end_the_stream_of_a_task(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    task = await submit()
    subject = subjects.event_subject("acme", task, "builder", "task", "state")
    headers = Envelope("worksite.v1.task_state", "builder", "acme", task).headers()
    forged = await bus.publish_raw(subject, b'{"status": "completed"}', headers)
    last = await admin.advance(task, "completed")

    answer = await client.get(f"/v1/tasks/{task}/events")

    shown = [json.loads(line[5:])["sequence"] for line in answer.text.splitlines() if line.startswith("data:")]
    assert shown == [forged, last]


@UNREADABLE
@pytest.mark.asyncio
async def test_a_letter_whose_mark_is_unreadable_is_open(bus: Bus, gateway: Any, junk: bytes) -> None:
    await put(bus, subjects.LETTERS, "acme.1", junk)

    assert await gateway.dead_letters._mark("acme", 1) is None
