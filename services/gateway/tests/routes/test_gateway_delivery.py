"""options.deliver: what can be delivered is taken, and anything else is refused before it costs anything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from worksite.common.messages import Delivered

pytestmark = pytest.mark.asyncio
CLONED = {"git_url": "https://git.example/shop.git"}
FULL = {"push": {"url": "https://git.example/fork.git", "branch": "feature/login"}, "merge_request": True}


@pytest.mark.parametrize(
    ("project", "deliver"),
    [
        (CLONED, {}),
        (CLONED, {"merge_request": True}),
        (CLONED, FULL),
        ({}, FULL),
        ({"name": "shop"}, {"push": {"url": CLONED["git_url"]}}),
    ],
)
async def test_a_delivery_is_taken_as_it_is_asked_for(
    client: httpx.AsyncClient, project: dict[str, Any], deliver: dict[str, Any]
) -> None:
    options = {"deliver": deliver, "approve": ["deliver"]}
    answer = await client.post("/v1/tasks", json={"request": "x", "project": project, "options": options})

    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"project": {}, "options": {"deliver": {}}}, "push.url"),
        ({"project": {"name": "shop"}, "options": {"deliver": {"merge_request": True}}}, "push.url"),
        ({"project": CLONED, "route": "review", "options": {"deliver": {}}}, "route review makes no branch"),
        ({"project": CLONED, "options": {"approve": ["deliver"]}}, "needs the option deliver"),
        ({"project": CLONED, "options": {"deliver": {"push": {"branch": "a..b"}}}}, "git takes"),
        ({"options": {"deliver": {"push": {"url": "https://ann:secret@git.example/x"}}}}, "holds credentials"),
        ({"project": CLONED, "options": {"deliver": {"force": True}}}, "Extra inputs"),
    ],
)
async def test_a_delivery_that_can_never_happen_is_refused_at_submission(
    client: httpx.AsyncClient, body: dict[str, Any], says: str
) -> None:
    answer = await client.post("/v1/tasks", json={"request": "x"} | body)

    assert answer.status_code == 422
    assert says in str(answer.json()["errors"])
    assert "secret" not in answer.text


async def test_a_task_shows_where_its_branch_went(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    task = await submit()
    assert (await client.get(f"/v1/tasks/{task}")).json()["delivered"] is None
    delivered = Delivered(remote=CLONED["git_url"], branch="worksite/x", head_sha="1" * 40, merge_request="https://m/1")
    await admin.advance(task, "completed", delivered=delivered)

    assert (await client.get(f"/v1/tasks/{task}")).json()["delivered"] == delivered.model_dump(mode="json")
