"""Whose document is looked at next, and what happens when that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import REGISTRY
from worksite.common.bus.consumer import Progress
from worksite.common.errors import BusUnavailable, MalformedMessage
from worksite.rag import backlog as backlogs
from worksite.rag.backlog import Backlog
from worksite.rag.keeper import Outcome

pytestmark = pytest.mark.asyncio


@asynccontextmanager
async def at_work(settle: Callable[[str, str], Awaitable[Outcome]]) -> AsyncGenerator[Backlog, None]:
    backlog = Backlog(settle, Progress())
    working = asyncio.create_task(backlog.run())
    try:
        yield backlog
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.001)


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("rag_ingest_documents_total", {"outcome": outcome}) or 0.0


async def test_thousand_documents_of_one_tenant_do_not_hold_up_anothers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "TENANTS_AT_ONCE", 1)
    order: list[str] = []

    async def settle(tenant: str, document: str) -> Outcome:
        order.append(tenant)
        return "indexed"

    async with at_work(settle) as backlog:
        for n in range(1000):
            backlog.add("big", str(n))
        backlog.add("small", "only")
        await until(lambda: len(order) == 1001)
    assert order[:3] == ["big", "small", "big"]


async def test_never_are_two_documents_of_one_tenant_in_work_at_a_time() -> None:
    at_a_time, most, done = 0, 0, 0

    async def settle(tenant: str, document: str) -> Outcome:
        nonlocal at_a_time, most, done
        at_a_time += 1
        most = max(most, at_a_time)
        await asyncio.sleep(0)
        at_a_time -= 1
        done += 1
        return "indexed"

    async with at_work(settle) as backlog:
        for n in range(20):
            backlog.add("acme", str(n))
            await asyncio.sleep(0)
        await until(lambda: done == 20)
    assert most == 1


async def test_documents_of_several_tenants_are_in_work_at_the_same_time() -> None:
    arrived: set[str] = set()

    async def settle(tenant: str, document: str) -> Outcome:
        arrived.add(tenant)
        await until(lambda: len(arrived) == 3)
        return "indexed"

    async with at_work(settle) as backlog:
        for tenant in ("a", "b", "c"):
            backlog.add(tenant, "1")
        await until(lambda: len(arrived) == 3)


async def test_document_added_twice_is_looked_at_once_but_again_when_added_while_in_work() -> None:
    looked: list[str] = []
    go_on = asyncio.Event()

    async def settle(tenant: str, document: str) -> Outcome:
        looked.append(document)
        await go_on.wait()
        return "indexed"

    async with at_work(settle) as backlog:
        for document in ("1", "1", "2", "2"):
            backlog.add("acme", document)
        await until(lambda: looked == ["1"])
        backlog.add("acme", "1")
        go_on.set()
        await until(lambda: len(looked) == 3)
    assert looked == ["1", "2", "1"]


async def test_trouble_is_tried_again_later_stops_nothing_and_is_counted_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attempts: list[int] = []
    monkeypatch.setattr(backlogs, "backoff", lambda attempt: attempts.append(attempt) or 0.001)
    looked: list[str] = []

    async def settle(tenant: str, document: str) -> Outcome:
        looked.append(document)
        if document == "bad" and looked.count("bad") < 3:
            raise BusUnavailable("no answer") if looked.count("bad") == 1 else RuntimeError("the store is away")
        return "indexed"

    deferred, indexed = counted("deferred"), counted("indexed")
    async with at_work(settle) as backlog:
        backlog.add("acme", "bad")
        backlog.add("acme", "good")
        await until(lambda: counted("indexed") == indexed + 2)
    assert looked == ["bad", "good", "bad", "bad"]
    assert attempts == [1, 2]
    assert counted("deferred") == deferred + 2


async def test_row_that_cannot_be_read_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def settle(tenant: str, document: str) -> Outcome:
        raise MalformedMessage("row acme.1 cannot be read")

    unreadable = counted("unreadable")
    async with at_work(settle) as backlog:
        backlog.add("acme", "1")
        await until(lambda: counted("unreadable") == unreadable + 1)
    assert "row acme.1 cannot be read" in caplog.text


async def test_document_that_never_ends_shows_as_stalled_and_an_idle_backlog_does_not() -> None:
    async def settle(tenant: str, document: str) -> Outcome:
        await asyncio.Event().wait()
        return "indexed"

    async with at_work(settle) as backlog:
        assert not backlog.stalled(0)
        backlog.add("acme", "1")
        await until(lambda: backlog.stalled(0.01))
        assert not backlog.stalled(60)


def measured(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_queue_and_the_age_of_its_oldest_document_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlogs, "backoff", lambda _: 0.001)
    clock, failing, go_on = 1000.0, True, asyncio.Event()

    async def settle(tenant: str, document: str) -> Outcome:
        await go_on.wait()
        if document == "old" and failing:
            raise BusUnavailable("no answer")
        return "failed" if document == "bad" else "indexed"

    backlog = Backlog(settle, Progress(), now=lambda: clock)
    assert (measured("rag_ingest_queue_depth"), measured("rag_ingest_lag_seconds")) == (0, 0)
    errors = measured("rag_ingest_errors_total", source="documents")
    backlog.add("acme", "old", since=400.0)
    backlog.add("acme", "old")
    backlog.add("acme", "bad")
    backlog.add("other", "new")
    assert (measured("rag_ingest_queue_depth"), measured("rag_ingest_lag_seconds")) == (3, 600)
    working = asyncio.create_task(backlog.run())
    go_on.set()
    await until(lambda: measured("rag_ingest_queue_depth") == 1)
    assert measured("rag_ingest_lag_seconds") == 600  # tried again, and not younger for it
    failing = False
    await until(lambda: measured("rag_ingest_queue_depth") == 0)
    assert measured("rag_ingest_lag_seconds") == 0
    assert measured("rag_ingest_errors_total", source="documents") >= errors + 2
    working.cancel()
    await asyncio.wait({working})
