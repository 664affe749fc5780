"""/v1/tasks/{id}/approval: one word per gate, bound to what it speaks of, from an approver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from worksite.common import subjects
from worksite.common.bus import Bus
from worksite.common.messages import Approval, ApprovalGiven

DIGEST = "ab" * 32
YES = {"gate": "design", "approved": True, "digest": DIGEST}


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:worksite:problem:")


async def words(bus: Bus, task: str) -> list[ApprovalGiven]:
    subject = subjects.event_subject("acme", task, "gateway", "task", "approval")
    return [ApprovalGiven.consume(stored.data) for stored in await bus.read("EVENTS", subject, 0)]


@pytest.fixture
def bob(mint: Callable[..., str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {mint(sub='bob', roles=['approver'])}"}


@pytest.fixture
def gated(submit: Callable[..., Any], admin: Any) -> Callable[..., Any]:
    """A task that waits for an approver; returns its id."""

    async def waiting(left: timedelta = timedelta(days=7)) -> str:
        task = await submit()
        asked = Approval(gate="design", digest=DIGEST, expires_at=datetime.now(UTC) + left)
        await admin.advance(task, "needs_input", approval=asked, reason="The design waits for an approver.")
        return task

    return waiting


@pytest.mark.asyncio
async def test_an_approval_is_published_under_who_gave_it_and_bound_to_the_digest(
    client: httpx.AsyncClient, gated: Callable[..., Any], bob: dict[str, str], bus: Bus
) -> None:
    task = await gated()
    view = (await client.get(f"/v1/tasks/{task}")).json()

    answer = await client.post(view["links"]["approval"], json=YES | {"comment": "fine"}, headers=bob)

    assert answer.status_code == 202, answer.text
    assert (view["approval"]["gate"], view["approval"]["digest"], view["links"]["input"]) == ("design", DIGEST, None)
    [word] = await words(bus, task)
    assert (word.principal, word.gate, word.approved, word.digest) == ("bob", "design", True, DIGEST)
    assert word.comment == "fine"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changed", "says"),
    [({"digest": "0" * 64}, DIGEST), ({"gate": "deliver"}, "gate design")],
)
async def test_a_word_on_something_else_is_refused(
    client: httpx.AsyncClient, gated: Callable[..., Any], bob: dict[str, str], bus: Bus, changed: Any, says: str
) -> None:
    task = await gated()

    answer = await client.post(f"/v1/tasks/{task}/approval", json=YES | changed, headers=bob)

    assert slug(answer) == (409, "nothing-to-approve")
    assert says in answer.json()["detail"]
    assert await words(bus, task) == []


@pytest.mark.asyncio
async def test_a_word_that_comes_too_late_or_where_nothing_waits_is_refused(
    client: httpx.AsyncClient, gated: Callable[..., Any], submit: Callable[..., Any], bob: dict[str, str]
) -> None:
    late, queued = await gated(timedelta(seconds=-1)), await submit()

    answers = [await client.post(f"/v1/tasks/{task}/approval", json=YES, headers=bob) for task in (late, queued)]

    assert [slug(answer) for answer in answers] == [(409, "nothing-to-approve")] * 2
    assert "ended" in answers[0].json()["detail"]
    assert "queued" in answers[1].json()["detail"]


@pytest.mark.asyncio
async def test_of_words_at_once_one_counts_and_the_same_word_again_is_no_other(
    client: httpx.AsyncClient, gated: Callable[..., Any], bob: dict[str, str], bus: Bus
) -> None:
    task = await gated()
    url = f"/v1/tasks/{task}/approval"

    both = await asyncio.gather(
        client.post(url, json=YES, headers=bob), client.post(url, json=YES | {"approved": False}, headers=bob)
    )
    [word] = await words(bus, task)
    again = await client.post(url, json=YES | {"approved": word.approved}, headers=bob)

    assert sorted(answer.status_code for answer in both) == [202, 409]
    assert again.status_code == 202
    assert len(await words(bus, task)) == 1


@pytest.mark.asyncio
async def test_only_an_approver_may_approve(
    client: httpx.AsyncClient, gated: Callable[..., Any], mint: Callable[..., str], bus: Bus
) -> None:
    task = await gated()
    url = f"/v1/tasks/{task}/approval"

    denied = [
        await client.post(url, json=YES, headers={"Authorization": f"Bearer {mint(roles=[role])}"})
        for role in ("viewer", "developer", "operator")
    ]
    both = {"Authorization": f"Bearer {mint(roles=['developer', 'approver'])}"}

    assert [slug(answer) for answer in denied] == [(403, "forbidden")] * 3
    assert await words(bus, task) == []
    assert (await client.post(url, json=YES, headers=both)).status_code == 202


@pytest.mark.asyncio
async def test_a_task_that_waits_for_an_approver_takes_no_answer(
    client: httpx.AsyncClient, gated: Callable[..., Any]
) -> None:
    answer = await client.post(f"/v1/tasks/{await gated()}/input", json={"text": "go on"})

    assert slug(answer) == (409, "not-waiting")
    assert "approver" in answer.json()["detail"]


@pytest.mark.asyncio
async def test_gates_that_would_never_be_reached_are_refused_at_submission(client: httpx.AsyncClient) -> None:
    deliver = await client.post("/v1/tasks", json={"request": "x", "options": {"approve": ["deliver"]}})
    question = await client.post(
        "/v1/tasks", json={"request": "x?", "route": "question", "options": {"approve": ["design"]}}
    )
    design = await client.post("/v1/tasks", json={"request": "x", "options": {"approve": ["design"]}})

    assert [slug(answer) for answer in (deliver, question)] == [(422, "invalid-request")] * 2
    assert "needs the option deliver" in deliver.json()["errors"][0]["message"]
    assert design.status_code == 202
