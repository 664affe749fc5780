"""GET /v1/tasks: pages, filters, and what they cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.ids import new_id
from worksite.common.messages import TaskEntry
from worksite.common.testing.examples import submit_task
from worksite.gateway.domain.listing import TaskQuery
from worksite.gateway.tasks import Tasks

Submit = Callable[..., Any]


async def listed(client: httpx.AsyncClient, **query: Any) -> list[list[str]]:
    """The ids on each page, by the header's links."""
    found, url = list[list[str]](), str(httpx.URL("/v1/tasks", params=query))
    while url:
        answer = await client.get(url)
        assert answer.status_code == 200, answer.text
        found.append([task["id"] for task in answer.json()["tasks"]])
        assert (answer.json()["next"] is None) == ("next" not in answer.links)
        url = answer.links.get("next", {}).get("url", "")
    return found


@pytest.mark.asyncio
async def test_pages_follow_one_another_and_new_tasks_do_not_move_them(
    client: httpx.AsyncClient, submit: Submit, admin: Any
) -> None:
    tasks = [await submit(f"task {n}") for n in range(5)]
    first = (await client.get("/v1/tasks", params={"limit": 2})).json()
    await submit("a new one")
    await admin.advance(tasks[0])

    second = (await client.get("/v1/tasks", params={"limit": 2, "cursor": first["next"]})).json()
    third = (await client.get("/v1/tasks", params={"limit": 2, "cursor": second["next"]})).json()

    pages = [[task["id"] for task in page["tasks"]] for page in (first, second, third)]
    assert pages == [tasks[4:2:-1], tasks[2:0:-1], tasks[:1]]
    assert third["next"] is None


@pytest.mark.asyncio
async def test_a_list_can_be_of_one_status_or_route(client: httpx.AsyncClient, submit: Submit, admin: Any) -> None:
    tasks = [await submit(f"task {n}") for n in range(5)]
    for task in tasks[1:4]:
        await admin.advance(task, "failed")
    fix = (await client.post("/v1/tasks", json={"request": "x", "route": "fix"})).json()["id"]

    assert await listed(client, status="failed", limit=2) == [tasks[3:1:-1], tasks[1:2]]
    assert await listed(client, status="queued") == [[fix, tasks[4], tasks[0]]]
    assert await listed(client, route="fix") == [[fix]]
    assert await listed(client, status="completed") == [[]]


@pytest.mark.asyncio
async def test_a_list_can_be_of_a_time(client: httpx.AsyncClient, submit: Submit) -> None:
    task = await submit()
    now = datetime.now(UTC)
    before, after = (now - timedelta(hours=1)).isoformat(), (now + timedelta(hours=1)).isoformat()

    assert await listed(client, since=before, until=after) == [[task]]
    assert await listed(client, since=after) == [[]]
    assert await listed(client, until=before) == [[]]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "many"},
        {"status": "lost"},
        {"route": "detour"},
        {"since": "yesterday"},
        {"since": "2026-11-22T12:00:00"},
        {"until": ""},
    ],
)
async def test_a_filter_that_does_not_fit_is_named(client: httpx.AsyncClient, query: dict[str, Any]) -> None:
    answer = await client.get("/v1/tasks", params=query)

    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == list(query)


@pytest.mark.asyncio
async def test_a_cursor_that_was_changed_is_refused(client: httpx.AsyncClient, submit: Submit) -> None:
    for _ in range(2):
        await submit()
    cursor = (await client.get("/v1/tasks", params={"limit": 1})).json()["next"]

    for changed in (cursor[:-1], cursor[:-1] + "-", cursor.swapcase(), "", "x", cursor + cursor):
        answer = await client.get("/v1/tasks", params={"cursor": changed})
        assert (answer.status_code, answer.json()["type"]) in [
            (400, "urn:worksite:problem:malformed-cursor"),
            (422, "urn:worksite:problem:invalid-request"),
        ]


async def filled(store: KeyValue, count: int) -> list[str]:
    """Tasks of acme, written as they are created."""
    ids: list[str] = []
    for _ in range(count):
        ids.append(new_id())
        entry = TaskEntry(state=None, submitted=submit_task(task=ids[-1]), sequence=0)
        await store.create(f"acme.{ids[-1]}", entry.to_json())
    return ids


class Counting(KeyValue):
    """Counts the entries that are read."""

    read = 0

    async def entries(self, prefix: str | None = None, *, after: int = 0, limit: int | None = None) -> Any:
        found = await super().entries(prefix, after=after, limit=limit)
        self.read += len(found)
        return found


@pytest.mark.asyncio
async def test_the_newest_page_does_not_read_the_history(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worksite.gateway.domain.listing.CLOCK_SLACK", timedelta(0))  # they are created in one burst
    tasks = Tasks(bus)
    store = tasks._store = Counting(bus, subjects.TASKS)
    ids = await filled(store, 600)

    page = await tasks.page("acme", TaskQuery(limit=10))

    assert [entry.submitted.task for entry in page.entries] == ids[:-11:-1]
    assert store.read < 100


class Moving(KeyValue):
    """While the first batch is looked at, an entry that has not been read yet is updated."""

    async def newest_first(self, prefix: str, window: int) -> Any:
        first = True
        async for batch in super().newest_first(prefix, window):
            yield batch
            if first:
                [oldest] = await self.entries(prefix, limit=1)
                await self.update(oldest.key, oldest.value, oldest.revision)
            first = False


@pytest.mark.asyncio
async def test_a_task_that_is_updated_while_we_read_is_not_missed(bus: Bus) -> None:
    tasks = Tasks(bus)
    store = tasks._store = Moving(bus, subjects.TASKS)
    ids = await filled(store, 12)

    page = await tasks.page("acme", TaskQuery(limit=3, before=ids[2]))

    assert [entry.submitted.task for entry in page.entries] == ids[1::-1]
