"""/v1/tasks: submit, list, look at, cancel."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from worksite.common import subjects
from worksite.common.bus import Bus
from worksite.common.messages import CancelRequested, GitProject, NewProject
from worksite.common.testing import NatsServer

ABSENT = "0" * 32


@pytest.mark.asyncio
async def test_an_accepted_task_is_stored_and_can_be_read_at_once(client: httpx.AsyncClient, admin) -> None:
    answer = await client.post("/v1/tasks", json={"request": "Create auth system"})

    assert answer.status_code == 202
    view = answer.json()
    assert answer.headers["location"] == view["links"]["self"] == f"/v1/tasks/{view['id']}"
    assert (view["status"], view["verdict"], view["steps"]) == ("queued", None, [])
    assert (await client.get(answer.headers["location"])).json() == view
    [(command, headers)] = await admin.submitted()
    assert (command.task, command.tenant, command.principal) == (view["id"], "acme", "ada")
    assert headers["ce-id"] == headers["ws-task"] == view["id"]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("project", "source"),
    [
        (None, NewProject(name="project")),
        ({}, NewProject(name="project")),
        ({"name": "shop"}, NewProject(name="shop")),
        ({"git_url": "https://git.example/x.git"}, GitProject(git_url="https://git.example/x.git")),
        (
            {"git_url": "https://git.example/x.git", "ref": "main"},
            GitProject(git_url="https://git.example/x.git", ref="main"),
        ),
    ],
)
async def test_a_project_is_named_by_its_fields_alone(client: httpx.AsyncClient, admin, project, source) -> None:
    body = {"request": "x"} | ({} if project is None else {"project": project})

    assert (await client.post("/v1/tasks", json=body)).status_code == 202

    [(command, _)] = await admin.submitted()
    assert command.project == source


@pytest.mark.asyncio
async def test_route_and_options_travel_with_the_command(client: httpx.AsyncClient, admin) -> None:
    body = {"request": "x", "route": "design", "options": {"max_rounds": 2, "deadline_seconds": 60}}

    assert (await client.post("/v1/tasks", json=body)).status_code == 202

    [(command, _)] = await admin.submitted()
    assert (command.route, command.options.max_rounds, command.options.deadline_seconds) == ("design", 2, 60)


@pytest.mark.asyncio
async def test_a_view_tells_what_admin_knows(client: httpx.AsyncClient, submit, admin) -> None:
    task = await submit()
    await admin.advance(task, "failed", round=2, reason="it broke")

    view = (await client.get(f"/v1/tasks/{task}")).json()

    assert (view["status"], view["route"], view["round"], view["reason"]) == ("failed", "feature", 2, "it broke")
    assert view["cost"] == {"total_usd": 0.25, "currency": "USD"}
    assert view["steps"][0]["seconds"] == 1.5
    assert view["artifacts"] == ["cost.json"]


@pytest.mark.asyncio
async def test_the_list_is_the_tenants_own_newest_first_and_limited(
    client: httpx.AsyncClient, submit, admin, mint
) -> None:
    tasks = [await submit(f"task {n}") for n in range(3)]
    await client.post(
        "/v1/tasks", json={"request": "theirs"}, headers={"Authorization": f"Bearer {mint(tenant='beta')}"}
    )
    await admin.advance(tasks[0])  # an update must not move it to the front

    listed = (await client.get("/v1/tasks")).json()["tasks"]
    limited = (await client.get("/v1/tasks", params={"limit": 1})).json()["tasks"]

    assert [view["id"] for view in listed] == tasks[::-1]
    assert [view["id"] for view in limited] == [tasks[2]]


@pytest.mark.asyncio
async def test_an_unknown_or_malformed_id_is_not_found(client: httpx.AsyncClient) -> None:
    ids = [ABSENT, "nonsense", "A" * 32, "..", "*", ">", "a.b", "0" * 33, "%00", "%0d%0a"]
    paths = ["", "/events", "/artifacts", "/artifacts/spec.md"]

    answers = [await client.get(f"/v1/tasks/{task}{path}") for task in ids for path in paths]

    assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {
        (404, "urn:worksite:problem:not-found")
    }


@pytest.mark.asyncio
async def test_another_tenants_task_looks_exactly_like_one_that_never_was(
    client: httpx.AsyncClient, submit, admin, mint
) -> None:
    task = await submit()
    await admin.advance(task)
    client.headers["Authorization"] = f"Bearer {mint(tenant='beta', sub='eve')}"
    calls = [
        ("GET", ""),
        ("GET", "/events"),
        ("GET", "/artifacts"),
        ("GET", "/artifacts/cost.json"),
        ("POST", "/cancel"),
    ]

    theirs = [await client.request(method, f"/v1/tasks/{task}{path}") for method, path in calls]
    nobodys = [await client.request(method, f"/v1/tasks/{ABSENT}{path}") for method, path in calls]

    assert {answer.status_code for answer in theirs} == {404}
    assert [answer.json() | {"trace_id": None} for answer in theirs] == [
        answer.json() | {"trace_id": None} for answer in nobodys
    ]


@pytest.mark.asyncio
async def test_cancel_publishes_who_asked_and_why(client: httpx.AsyncClient, submit, bus: Bus) -> None:
    task = await submit()

    answer = await client.post(f"/v1/tasks/{task}/cancel", json={"reason": "changed my mind"})

    assert answer.status_code == 202
    stored = await bus.last("EVENTS", subjects.event_subject("acme", task, "gateway", "task", "cancel"))
    assert stored is not None
    event = CancelRequested.consume(stored.data)
    assert (event.task, event.tenant, event.principal, event.reason) == (task, "acme", "ada", "changed my mind")


@pytest.mark.asyncio
async def test_cancel_needs_no_body(client: httpx.AsyncClient, submit) -> None:
    assert (await client.post(f"/v1/tasks/{await submit()}/cancel")).status_code == 202


@pytest.mark.asyncio
@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_a_task_that_has_ended_cannot_be_cancelled(client: httpx.AsyncClient, submit, admin, status: str) -> None:
    task = await submit()
    await admin.advance(task, status)

    answer = await client.post(f"/v1/tasks/{task}/cancel")

    assert (answer.status_code, answer.json()["type"]) == (409, "urn:worksite:problem:task-ended")


@pytest.mark.asyncio
async def test_a_full_tenant_is_told_to_wait_and_others_are_not(client: httpx.AsyncClient, submit, mint) -> None:
    for _ in range(subjects.TASK_CAP_PER_TENANT):
        await submit()

    full = await client.post("/v1/tasks", json={"request": "one more"})
    other = await client.post(
        "/v1/tasks", json={"request": "x"}, headers={"Authorization": f"Bearer {mint(tenant='beta')}"}
    )

    assert (full.status_code, full.json()["type"]) == (429, "urn:worksite:problem:queue-full")
    assert int(full.headers["retry-after"]) > 0
    assert other.status_code == 202


@pytest.mark.asyncio
async def test_a_refused_key_is_accepted_once_there_is_room(client: httpx.AsyncClient, submit, admin) -> None:
    for _ in range(subjects.TASK_CAP_PER_TENANT):
        await submit()
    headers = {"Idempotency-Key": "k"}
    full = await client.post("/v1/tasks", json={"request": "patient"}, headers=headers)
    await admin.take_up_all()

    accepted = await client.post("/v1/tasks", json={"request": "patient"}, headers=headers)

    assert (full.status_code, accepted.status_code) == (429, 202)
    assert [command.task for command, _ in await admin.submitted()] == [accepted.json()["id"]]


@pytest.mark.asyncio
async def test_without_nats_every_route_says_so_at_once(
    client: httpx.AsyncClient, submit, nats_server: NatsServer, wait_until, bus: Bus
) -> None:
    await submit()  # the token is verified and known by now
    nats_server.kill()
    await wait_until(lambda: not bus.connected)

    async with asyncio.timeout(4.5):  # a single call that waited for NATS would take 5 s
        answers = [
            await client.post("/v1/tasks", json={"request": "x"}),
            await client.get("/v1/tasks"),
            await client.get(f"/v1/tasks/{ABSENT}"),
            await client.get(f"/v1/tasks/{ABSENT}/events"),
            await client.post(f"/v1/tasks/{ABSENT}/cancel"),
            await client.post(f"/v1/tasks/{ABSENT}/input", json={"text": "x"}),
            await client.post("/v1/uploads", content=b"PK", headers={"Content-Type": "application/zip"}),
            await client.get(f"/v1/uploads/{ABSENT * 2}"),
            await client.post("/v1/knowledge/documents", json={"documents": [{"path": "a.md", "text": "x"}]}),
            await client.get("/v1/knowledge/documents"),
            await client.delete(f"/v1/knowledge/documents/{ABSENT}"),
            await client.post("/v1/search", json={"query": "x"}),
        ]

    assert {(answer.status_code, answer.json()["type"]) for answer in answers} == {
        (503, "urn:worksite:problem:bus-unavailable")
    }
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)


@pytest.mark.asyncio
async def test_without_nats_a_token_nobody_has_seen_yet_is_not_let_in(
    client: httpx.AsyncClient, mint, nats_server: NatsServer, wait_until, bus: Bus
) -> None:
    nats_server.kill()
    await wait_until(lambda: not bus.connected)

    async with asyncio.timeout(4.5):  # a single call that waited for NATS would take 5 s
        answer = await client.get("/v1/tasks")

    assert answer.status_code == 503
