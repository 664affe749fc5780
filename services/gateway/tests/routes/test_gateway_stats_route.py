"""GET /v1/stats: whose tasks it counts, and which of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from worksite.gateway import tasks


@pytest.mark.asyncio
async def test_what_the_tasks_came_to_is_told(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    first, second, _queued = [await submit(f"task {n}") for n in range(3)]
    await admin.advance(first, "running")
    await admin.advance(first, "completed", reason="The design is written.")
    await admin.advance(second, "cancelled")

    answer = await client.get("/v1/stats")

    assert answer.status_code == 200
    found = answer.json()
    assert (found["tasks"], found["complete"], found["spent"]["usd"]) == (2, True, 0.5)
    assert {stop["reason"]: stop["tasks"] for stop in found["stops"]} == {"done without a verdict": 1, "cancelled": 1}


@pytest.mark.asyncio
async def test_only_tasks_submitted_since_then_are_counted(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    await admin.advance(await submit())
    counted = []
    for hours in (-1, 1):
        since = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
        counted.append((await client.get("/v1/stats", params={"since": since})).json()["tasks"])
    refused = await client.get("/v1/stats", params={"since": "yesterday"})

    assert counted == [1, 0]
    assert refused.status_code == 422


@pytest.mark.asyncio
async def test_of_too_many_tasks_those_that_moved_last_are_counted_and_it_is_said(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "MAX_STATES", 2)
    for status in ("failed", "cancelled", "cancelled"):
        await admin.advance(await submit(), status)

    found = (await client.get("/v1/stats")).json()

    assert (found["tasks"], found["complete"]) == (2, False)
    assert found["stops"] == [{"reason": "cancelled", "tasks": 2}]
