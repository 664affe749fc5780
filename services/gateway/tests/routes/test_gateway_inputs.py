"""/v1/tasks/{id}/input: an answer counts once, and only where something was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from worksite.common import subjects
from worksite.common.bus import Bus, Stored
from worksite.common.messages import AuditRecord, InputGiven, Question, TaskEntry
from worksite.common.messages.tasks import MAX_REQUEST_BYTES
from worksite.gateway import stream
from worksite.gateway.domain.answering import NotWaiting, check
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import TaskInput
from worksite.gateway.gateway import Gateway
from worksite.gateway.inputs import Inputs
from worksite.gateway.tasks import Tasks

ADA = Principal("ada", "acme", frozenset({"developer"}), "id", 0)
QUESTION = Question(reason="more than is covered", covered=("login",), missing=("oauth",), hint="ask for less")
KEY = {"Idempotency-Key": "k"}


async def given(bus: Bus, task: str) -> list[Stored]:
    return await bus.read("EVENTS", subjects.event_subject("acme", task, "gateway", "task", "input"), 0)


async def texts(bus: Bus, task: str) -> list[str]:
    return [InputGiven.consume(stored.data).text for stored in await given(bus, task)]


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:worksite:problem:")


@pytest.fixture
def ask(submit: Callable[..., Any], admin: Any) -> Callable[..., Any]:
    """A task that waits for an answer; returns its id."""

    async def asked(request: str = "Create auth system", **changed: Any) -> str:
        task = await submit(request)
        await admin.advance(task, "needs_input", **{"question": QUESTION, "reason": QUESTION.reason} | changed)
        return task

    return asked


@pytest.mark.asyncio
async def test_an_answer_is_published_under_who_gave_it(
    client: httpx.AsyncClient, ask: Callable[..., Any], bus: Bus
) -> None:
    task = await ask()

    answer = await client.post(f"/v1/tasks/{task}/input", json={"text": " without OAuth \n", "route": "design"})

    assert answer.status_code == 202, answer.text
    assert answer.json()["id"] == task
    [stored] = await given(bus, task)
    event = InputGiven.consume(stored.data)
    assert (event.task, event.tenant, event.principal) == (task, "acme", "ada")
    assert (event.text, event.route) == ("without OAuth", "design")
    assert (stored.headers["ce-type"], stored.headers["ws-task"]) == (InputGiven.ce_type(), task)


@pytest.mark.asyncio
async def test_a_view_shows_the_question_its_link_and_the_answers_so_far(
    client: httpx.AsyncClient, ask: Callable[..., Any], admin: Any
) -> None:
    task = await ask(inputs=("first",))

    waiting = (await client.get(f"/v1/tasks/{task}")).json()
    await admin.advance(task, "running", inputs=("first", "second"))
    running = (await client.get(f"/v1/tasks/{task}")).json()

    assert waiting["question"] == {"type": "question"} | QUESTION.model_dump(mode="json")
    assert waiting["links"]["input"] == f"/v1/tasks/{task}/input"
    assert (waiting["inputs"], running["inputs"]) == (["first"], ["first", "second"])
    assert (running["question"], running["links"]["input"]) == (None, None)


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [None, "running", "completed", "failed", "cancelled"])
async def test_a_task_that_asks_nothing_takes_no_answer(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, bus: Bus, status: str | None
) -> None:
    task = await submit()
    if status:
        await admin.advance(task, status)

    answer = await client.post(f"/v1/tasks/{task}/input", json={"text": "x"})

    assert slug(answer) == (409, "not-waiting")
    assert (status or "queued") in answer.json()["detail"]
    assert await given(bus, task) == []


@pytest.mark.asyncio
async def test_a_question_is_answered_once_and_the_next_one_again(
    client: httpx.AsyncClient, ask: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    task = await ask()
    url = f"/v1/tasks/{task}/input"

    first = await client.post(url, json={"text": "first"})
    too_late = await client.post(url, json={"text": "second"})
    await admin.advance(task, "running", inputs=("first",))
    await admin.advance(task, "needs_input", question=QUESTION, inputs=("first",))
    next_one = await client.post(url, json={"text": "third"})

    assert (first.status_code, next_one.status_code) == (202, 202)
    assert slug(too_late) == (409, "not-waiting")
    assert "just been answered" in too_late.json()["detail"]
    assert await texts(bus, task) == ["first", "third"]


@pytest.mark.asyncio
async def test_of_many_answers_at_once_one_counts_and_the_others_are_told(
    client: httpx.AsyncClient, ask: Callable[..., Any], bus: Bus
) -> None:
    task = await ask()

    answers = await asyncio.gather(
        *(client.post(f"/v1/tasks/{task}/input", json={"text": f"answer {n}"}) for n in range(8))
    )

    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 7
    [winner] = [n for n, answer in enumerate(answers) if answer.status_code == 202]
    assert await texts(bus, task) == [f"answer {winner}"]


@pytest.mark.asyncio
async def test_a_repeated_answer_with_its_key_counts_once_whatever_the_task_does_by_then(
    client: httpx.AsyncClient, ask: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    task = await ask()
    url, body = f"/v1/tasks/{task}/input", {"text": "without OAuth"}

    first = await client.post(url, json=body, headers=KEY)
    while_waiting = await client.post(url, json=body, headers=KEY)
    await admin.advance(task, "running", inputs=("without OAuth",))
    while_running = await client.post(url, json=body, headers=KEY)
    await admin.advance(task, "needs_input", question=QUESTION, inputs=("without OAuth",))
    at_the_next_question = await client.post(url, json=body, headers=KEY)

    repeats = [first, while_waiting, while_running, at_the_next_question]
    assert [answer.status_code for answer in repeats] == [202] * 4
    assert await texts(bus, task) == ["without OAuth"]


@pytest.mark.asyncio
async def test_many_at_once_with_one_key_are_one_answer(
    client: httpx.AsyncClient, ask: Callable[..., Any], bus: Bus
) -> None:
    task = await ask()

    answers = await asyncio.gather(
        *(client.post(f"/v1/tasks/{task}/input", json={"text": "x"}, headers=KEY) for _ in range(8))
    )

    assert {answer.status_code for answer in answers} == {202}
    assert await texts(bus, task) == ["x"]


@pytest.mark.asyncio
async def test_a_key_stands_for_one_answer_of_one_person_to_one_task(
    client: httpx.AsyncClient, ask: Callable[..., Any], mint: Callable[..., str], bus: Bus
) -> None:
    task, other = await ask(), await ask()
    bob = KEY | {"Authorization": f"Bearer {mint(sub='bob')}"}
    await client.post(f"/v1/tasks/{task}/input", json={"text": "x"}, headers=KEY)

    changed = await client.post(f"/v1/tasks/{task}/input", json={"text": "y"}, headers=KEY)
    rerouted = await client.post(f"/v1/tasks/{task}/input", json={"text": "x", "route": "fix"}, headers=KEY)
    elsewhere = await client.post(f"/v1/tasks/{other}/input", json={"text": "y"}, headers=KEY)
    somebody_else = await client.post(f"/v1/tasks/{task}/input", json={"text": "x"}, headers=bob)

    assert [slug(a) for a in (changed, rerouted)] == [(422, "idempotency-key-reused")] * 2
    assert elsewhere.status_code == 202
    assert slug(somebody_else) == (409, "not-waiting")
    assert (await texts(bus, task), await texts(bus, other)) == (["x"], ["y"])


@pytest.mark.asyncio
async def test_an_answer_whose_reply_was_lost_is_published_once_by_the_repeat(
    ask: Callable[..., Any], bus: Bus, gateway: Gateway
) -> None:
    """The process dies after the publish; the repeat goes to another replica."""
    entry = await Tasks(bus).get("acme", await ask())
    assert entry is not None
    wanted = TaskInput(text="x")
    await Inputs(bus).give(ADA, entry, wanted, "k")

    await gateway.inputs.give(ADA, entry, wanted, "k")

    assert await texts(bus, entry.submitted.task) == ["x"]


@pytest.mark.asyncio
async def test_an_answer_that_does_not_fit_names_the_field(
    client: httpx.AsyncClient, ask: Callable[..., Any], bus: Bus
) -> None:
    task = await ask()
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "text"),
        ({"text": 1}, "text"),
        ({"text": ""}, "text"),
        ({"text": " \n "}, "text"),
        ({"text": "x" * 4001}, "text"),
        ({"text": "\x1b[2J"}, "text"),
        ({"text": "x", "route": "magic"}, "route"),
        ({"text": "x", "tenant": "beta"}, "tenant"),
    ]
    for body, field in cases:
        answer = await client.post(f"/v1/tasks/{task}/input", json=body)
        assert slug(answer) == (422, "invalid-request")
        assert field in {error["field"] for error in answer.json()["errors"]}
    assert await given(bus, task) == []


@pytest.mark.asyncio
async def test_request_and_answers_together_are_held_to_what_a_message_can_carry(
    client: httpx.AsyncClient, ask: Callable[..., Any], bus: Bus
) -> None:
    request, earlier = "r" * 6000, "i" * 2000
    around = len('["","",""]')
    room = MAX_REQUEST_BYTES - len(request) - len(earlier) - around
    task = await ask(request, inputs=(earlier,))

    over = await client.post(f"/v1/tasks/{task}/input", json={"text": "x" * (room + 1)})
    quoted = await client.post(f"/v1/tasks/{task}/input", json={"text": '"' * (room // 2 + 1)})
    fits = await client.post(f"/v1/tasks/{task}/input", json={"text": "x" * room})

    assert slug(over) == slug(quoted) == (422, "invalid-request")
    [error] = over.json()["errors"]
    assert error["field"] == "text"
    assert str(MAX_REQUEST_BYTES) in error["message"]
    assert str(MAX_REQUEST_BYTES + 1) in error["message"]
    assert fits.status_code == 202
    assert await texts(bus, task) == ["x" * room]


@pytest.mark.asyncio
async def test_only_those_who_may_submit_may_answer(
    client: httpx.AsyncClient, ask: Callable[..., Any], mint: Callable[..., str], bus: Bus
) -> None:
    task = await ask()
    url = f"/v1/tasks/{task}/input"

    denied = [
        await client.post(url, json={"text": "x"}, headers={"Authorization": f"Bearer {mint(roles=[role], sub=role)}"})
        for role in ("viewer", "approver", "operator")
    ]
    elsewhere = await client.post(
        url, json={"text": "x"}, headers={"Authorization": f"Bearer {mint(tenant='beta', sub='eve')}"}
    )
    anonymous = await client.post(url, json={"text": "x"}, headers={"Authorization": ""})

    assert [slug(answer) for answer in denied] == [(403, "forbidden")] * 3
    assert slug(elsewhere) == (404, "not-found")
    assert anonymous.status_code == 401
    stored = await bus.read("AUDIT", subjects.audit_subject("acme", "denied"), 0)
    records = [AuditRecord.consume(found.data) for found in stored]
    assert [(r.principal, r.action, r.resource) for r in records] == [
        (role, "giveInput", f"Task::{task}") for role in ("viewer", "approver", "operator")
    ]
    assert await given(bus, task) == []


@pytest.mark.asyncio
async def test_one_stream_goes_on_through_question_and_answer_to_the_end(
    client: httpx.AsyncClient, ask: Callable[..., Any], admin: Any, gateway: Gateway, wait_until: Callable[..., Any]
) -> None:
    task = await ask()
    received: list[bytes] = []

    async def admitted() -> bool:
        return True

    async def watch() -> None:
        async for frame in stream.follow(gateway.bus, stream.Place("acme", task, 0), gateway.stop, admitted):
            received.append(frame)

    watching = asyncio.create_task(watch())
    await wait_until(lambda: len(received) == 1)
    await client.post(f"/v1/tasks/{task}/input", json={"text": "without OAuth"})
    await wait_until(lambda: len(received) == 2)
    await admin.advance(task, "running", inputs=("without OAuth",))
    await admin.advance(task, "completed", inputs=("without OAuth",))
    await asyncio.wait_for(watching, 30)

    assert [frame.split(b"\n")[1] for frame in received] == [
        b"event: state", b"event: input", b"event: state", b"event: state",
    ]  # fmt: skip


@pytest.mark.asyncio
async def test_a_client_that_has_seen_the_question_may_reconnect_to_wait_for_more(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    task = await submit()
    asked = await admin.advance(task, "needs_input", question=QUESTION)

    answer = await client.get(
        f"/v1/tasks/{task}/events", params={"follow": "false"}, headers={"Last-Event-ID": str(asked)}
    )

    assert (answer.status_code, answer.text) == (200, "")


@pytest.mark.asyncio
async def test_an_answer_to_an_earlier_question_does_not_stand_in_the_way(
    submit: Callable[..., Any], admin: Any, bus: Bus
) -> None:
    task = await submit()
    sequence = await admin.advance(task, "needs_input", question=QUESTION)
    entry = await Tasks(bus).get("acme", task)
    assert entry is not None
    assert entry.sequence == sequence

    check(entry, sequence - 1, "x")
    with pytest.raises(NotWaiting, match="answered"):
        check(entry, sequence + 1, "x")
    with pytest.raises(NotWaiting, match="queued"):
        check(TaskEntry(state=None, submitted=entry.submitted, sequence=0), 0, "x")
