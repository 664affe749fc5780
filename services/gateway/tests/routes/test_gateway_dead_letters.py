"""/v1/dead-letters: operators see what their tenant's services could not handle, and close each letter once."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
import pytest_asyncio
from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, announce, answer
from worksite.common.dead_letters import bury
from worksite.common.errors import BusUnavailable
from worksite.common.messages import AuditRecord, RedriveLetter, RedriveOutcome
from worksite.common.messages.records import REDRIVE_COUNT
from worksite.gateway.audit import Audit
from worksite.gateway.dead_letters import DeadLetters
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.principal import Principal

pytestmark = pytest.mark.asyncio

PATH = "/v1/dead-letters"
OLGA = Principal("olga", "acme", frozenset({"operator"}), "id", 0)


def may_redrive(letter: int) -> Permit:
    return Permit(OLGA, "redriveDeadLetter", f"DeadLetter::{letter}", ("operators-dead-letters",))


Kill = Callable[..., Any]


class Admin:
    """Plays the service that redrives."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.says = RedriveOutcome(redriven=True)

    async def redrive(self, question: RedriveLetter) -> RedriveOutcome:
        self.asked.append(question.sequence)
        return self.says


@pytest_asyncio.fixture
async def redriver(bus: Bus) -> AsyncIterator[Admin]:
    admin, micro = Admin(), await announce(bus, "admin", "0.0.1")
    await answer(micro, "redrive", RedriveLetter, admin.redrive)
    yield admin
    await micro.stop()


@pytest.fixture
def operator(stranger: httpx.AsyncClient, mint: Callable[..., str]) -> httpx.AsyncClient:
    stranger.headers["Authorization"] = f"Bearer {mint(sub='olga', roles=['operator'])}"
    return stranger


@pytest.fixture
def kill(bus: Bus) -> Kill:
    """Has a service bury a message; returns the letter's sequence."""

    async def killed(data: bytes = b"{", service: str = "builder", tenant: str = "acme", **headers: str) -> int:
        kept = {name.replace("_", "-"): value for name, value in headers.items()}
        subject, number = subjects.work_subject(service, tenant), (await deaths(bus)) + 1
        delivery = Delivery(subject, data, kept, "WORK", number, 3, None)  # pyright: ignore[reportArgumentType]
        await bury(bus, service, delivery, f"reason {number}", terminate=False)
        return await deaths(bus)

    return killed


async def deaths(bus: Bus) -> int:
    letters = await bus.read("DEAD", "ws.v1.dead.>", 0)
    return letters[-1].sequence if letters else 0


async def listed(operator: httpx.AsyncClient, **query: Any) -> list[int]:
    answer = await operator.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [letter["sequence"] for letter in answer.json()["letters"]]


async def records(bus: Bus, kind: str) -> list[AuditRecord]:
    stored = await bus.read("AUDIT", subjects.audit_subject("acme", kind), 0)
    return [AuditRecord.consume(one.data) for one in stored]


def slug(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:worksite:problem:")


# -- looking


async def test_an_operator_sees_the_open_letters_of_the_own_tenant_oldest_first(
    operator: httpx.AsyncClient, kill: Kill
) -> None:
    first, _, second = await kill(), await kill(tenant="globex"), await kill(service="rag")

    assert await listed(operator) == [first, second]
    assert await listed(operator, service="rag") == [second]
    assert await listed(operator, service="admin") == []


async def test_letters_come_in_pages_none_twice_and_none_missing(operator: httpx.AsyncClient, kill: Kill) -> None:
    letters = [await kill() for _ in range(5)]
    seen: list[int] = []
    query: dict[str, Any] = {"limit": 2}
    while True:
        answer = await operator.get(PATH, params=query)
        page = answer.json()
        seen += [letter["sequence"] for letter in page["letters"]]
        if page["next"] is None:
            break
        assert page["next"] in answer.headers["Link"]
        query["cursor"] = page["next"]

    assert seen == letters


async def test_a_letter_tells_who_could_not_handle_what_and_why(operator: httpx.AsyncClient, kill: Kill) -> None:
    letter = await kill(b'{"a": "\xc3\xa4"}', **{"ce-type": "worksite.v1.x", "ws-task": "t", REDRIVE_COUNT: "2"})

    told = (await operator.get(f"{PATH}/{letter}")).json()

    assert (told["service"], told["reason"], told["deliveries"]) == ("builder", "reason 1", 3)
    assert (told["type"], told["task"], told["redrive_count"]) == ("worksite.v1.x", "t", 2)
    assert (told["state"], told["closed_by"]) == ("open", None)
    assert (told["body_encoding"], told["body"]) == ("text", '{"a": "ä"}')
    assert told["headers"]["ce-type"] == "worksite.v1.x"
    assert told["links"]["self"] == f"{PATH}/{letter}"


@pytest.mark.parametrize("body", [b"\xff\xfe", b"\x1b[2J", b"a\0b"])
async def test_a_body_that_is_no_plain_text_comes_as_base64(
    operator: httpx.AsyncClient, kill: Kill, body: bytes
) -> None:
    told = (await operator.get(f"{PATH}/{await kill(body)}")).json()

    assert told["body_encoding"] == "base64"
    assert base64.b64decode(told["body"]) == body


async def test_what_is_no_letter_does_not_hide_the_letters(operator: httpx.AsyncClient, kill: Kill, bus: Bus) -> None:
    for subject in ("ws.v1.dead.rag.acme", "ws.v1.dead.builder.acme"):
        await bus.publish_raw(subject, b"nonsense", {})
    letter = await kill()

    assert await listed(operator) == [letter]
    assert (await operator.get(f"{PATH}/1")).status_code == 404


async def test_what_names_no_letter_is_not_found(operator: httpx.AsyncClient, redriver: Admin) -> None:
    for sequence in ("0", "-1", "x", "007", "1.0", "9" * 19, "99"):
        answers = [
            await operator.get(f"{PATH}/{sequence}"),
            await operator.post(f"{PATH}/{sequence}/redrive"),
            await operator.delete(f"{PATH}/{sequence}"),
        ]
        assert [slug(answer) for answer in answers] == [(404, "not-found")] * 3, sequence
    assert redriver.asked == []


async def test_another_tenants_letter_is_as_unknown_as_none(
    operator: httpx.AsyncClient, kill: Kill, redriver: Admin
) -> None:
    letter = await kill(tenant="globex")

    answers = [
        await operator.get(f"{PATH}/{letter}"),
        await operator.post(f"{PATH}/{letter}/redrive"),
        await operator.delete(f"{PATH}/{letter}"),
    ]

    assert [slug(answer) for answer in answers] == [(404, "not-found")] * 3
    assert redriver.asked == []


async def test_a_cursor_of_another_list_is_refused(operator: httpx.AsyncClient) -> None:
    assert slug(await operator.get(PATH, params={"cursor": "abc"})) == (400, "malformed-cursor")


@pytest.mark.parametrize("role", ["viewer", "developer", "approver"])
async def test_only_operators_have_to_do_with_dead_letters(
    operator: httpx.AsyncClient, kill: Kill, redriver: Admin, mint: Callable[..., str], role: str
) -> None:
    letter = await kill()
    headers = {"Authorization": f"Bearer {mint(roles=[role])}"}

    answers = [
        await operator.get(PATH, headers=headers),
        await operator.get(f"{PATH}/{letter}", headers=headers),
        await operator.post(f"{PATH}/{letter}/redrive", headers=headers),
        await operator.delete(f"{PATH}/{letter}", headers=headers),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert redriver.asked == []
    assert await listed(operator) == [letter]


# -- redrive


async def test_a_redrive_goes_on_record_and_closes_the_letter(
    operator: httpx.AsyncClient, kill: Kill, redriver: Admin, bus: Bus
) -> None:
    letter, other = await kill(), await kill()

    answer = await operator.post(f"{PATH}/{letter}/redrive")

    assert answer.status_code == 202, answer.text
    told = answer.json()
    assert (told["state"], told["closed_by"], told["redrive_count"]) == ("redriven", "olga", 1)
    assert redriver.asked == [letter]
    [record] = await records(bus, "redriven")
    assert (record.principal, record.action, record.resource) == ("olga", "redriveDeadLetter", f"DeadLetter::{letter}")
    assert await listed(operator) == [other]
    assert (await operator.get(f"{PATH}/{letter}")).json() == told


async def test_a_letter_is_redriven_once_however_often_it_is_asked_for(
    operator: httpx.AsyncClient, kill: Kill, redriver: Admin, bus: Bus
) -> None:
    letter = await kill()

    first, again = [await operator.post(f"{PATH}/{letter}/redrive") for _ in range(2)]

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json()
    assert redriver.asked == [letter]
    assert len(await records(bus, "redriven")) == 1


async def test_two_operators_at_once_get_the_same_answer(
    operator: httpx.AsyncClient, kill: Kill, redriver: Admin, bus: Bus
) -> None:
    letter = await kill()

    answers = await asyncio.gather(*(operator.post(f"{PATH}/{letter}/redrive") for _ in range(4)))

    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["closed_at"] for answer in answers}) == 1
    assert len(await records(bus, "redriven")) == 1


async def test_a_refusal_says_why_and_leaves_the_letter_open(
    operator: httpx.AsyncClient, kill: Kill, redriver: Admin, bus: Bus
) -> None:
    letter = await kill()
    redriver.says = RedriveOutcome(redriven=False, reason="its task is failed")

    answer = await operator.post(f"{PATH}/{letter}/redrive")

    assert slug(answer) == (409, "not-redriven")
    assert answer.json()["detail"] == "its task is failed"
    assert await listed(operator) == [letter]
    assert await records(bus, "redriven") == []


async def test_without_admin_a_redrive_can_be_tried_again(operator: httpx.AsyncClient, kill: Kill) -> None:
    letter = await kill()

    assert slug(await operator.post(f"{PATH}/{letter}/redrive")) == (503, "service-unavailable")
    assert await listed(operator) == [letter]


class Killed(Audit):
    """Dies before the record is written."""

    async def act(self, *_: Any) -> None:
        raise BusUnavailable("killed")


async def test_a_redrive_that_was_cut_off_leaves_the_letter_open_and_is_finished_by_the_next(
    bus: Bus, kill: Kill, redriver: Admin
) -> None:
    letter = await kill()

    with pytest.raises(BusUnavailable):
        await DeadLetters(bus, Killed(bus)).redrive(may_redrive(letter), letter)
    letters = DeadLetters(bus, Audit(bus))
    open_ones = await letters.page("acme", "*", 0, 10)
    await letters.redrive(may_redrive(letter), letter)

    assert [found.sequence for found in open_ones.letters] == [letter]
    assert redriver.asked == [letter, letter], "admin's part is idempotent"
    assert len(await records(bus, "redriven")) == 1
    assert (await letters.page("acme", "*", 0, 10)).letters == []


# -- purge


async def test_a_purged_letter_is_seen_by_nobody_any_more_and_the_purge_is_on_record(
    operator: httpx.AsyncClient, kill: Kill, redriver: Admin, bus: Bus
) -> None:
    letter, other = await kill(), await kill()

    gone = await operator.delete(f"{PATH}/{letter}")

    assert (gone.status_code, gone.content) == (204, b"")
    assert await listed(operator) == [other]
    answers = [
        await operator.get(f"{PATH}/{letter}"),
        await operator.post(f"{PATH}/{letter}/redrive"),
        await operator.delete(f"{PATH}/{letter}"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 3
    assert redriver.asked == []
    [record] = await records(bus, "allowed")
    assert (record.principal, record.action, record.resource) == ("olga", "purgeDeadLetter", f"DeadLetter::{letter}")


async def test_a_redriven_letter_can_be_purged(operator: httpx.AsyncClient, kill: Kill, redriver: Admin) -> None:
    letter = await kill()
    await operator.post(f"{PATH}/{letter}/redrive")

    assert (await operator.delete(f"{PATH}/{letter}")).status_code == 204
    assert (await operator.get(f"{PATH}/{letter}")).status_code == 404
