"""Who may embed next."""

from __future__ import annotations

import asyncio
import threading

import pytest
from worksite.rag import lane as lanes
from worksite.rag.lane import Lane

pytestmark = pytest.mark.asyncio


async def turns(count: int = 20) -> None:
    """Let everything that can go on go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def chunks(lane: Lane, name: str, said: list[str], count: int = 3) -> None:
    for _ in range(count):
        async with lane.chunk():
            said.append(name)
            await turns()


async def test_chunk_waits_until_the_last_query_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE_SECONDS", 60.0)
    lane, said = Lane(), list[str]()
    with lane.query():
        with lane.query():
            waiting = asyncio.create_task(chunks(lane, "a", said, 1))
            await turns()
        await turns()
        assert said == []
    await waiting
    assert said == ["a"]


async def test_query_is_let_in_between_two_chunks_of_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE_SECONDS", 60.0)
    lane, said = Lane(), list[str]()
    indexing = asyncio.create_task(chunks(lane, "a", said))
    while not said:
        await asyncio.sleep(0)
    with lane.query():
        await turns(100)
        assert said == ["a"]
    await indexing
    assert said == ["a"] * 3


async def test_endless_queries_do_not_stop_indexing_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "PATIENCE_SECONDS", 0.01)
    lane, said = Lane(), list[str]()
    with lane.query():
        await asyncio.wait_for(chunks(lane, "a", said), 30)
    assert said == ["a"] * 3


async def test_chunks_of_two_documents_take_turns() -> None:
    lane, said = Lane(), list[str]()
    await asyncio.gather(chunks(lane, "a", said), chunks(lane, "b", said))
    assert said == ["a", "b"] * 3


async def test_as_many_chunks_as_the_lane_is_wide_are_embedded_side_by_side() -> None:
    lane = Lane(width=2)
    under_way, most = 0, 0

    async def embed() -> None:
        nonlocal under_way, most
        async with lane.chunk():
            under_way += 1
            most = max(most, under_way)
            await turns()
            under_way -= 1

    await asyncio.gather(*(embed() for _ in range(6)))
    assert most == 2


async def test_each_chunk_is_progress() -> None:
    lane = Lane()
    assert lane.progress.last_turn == 0
    await chunks(lane, "a", [], 1)
    assert lane.progress.last_turn > 0


async def test_as_many_documents_are_cut_side_by_side_as_the_lane_is_wide_and_each_is_progress() -> None:
    lane = Lane(width=2)
    under_way, most = 0, 0

    async def cut() -> None:
        nonlocal under_way, most
        async with lane.cutting():
            under_way += 1
            most = max(most, under_way)
            await turns()
            under_way -= 1

    await asyncio.gather(*(cut() for _ in range(6)))
    assert most == 2
    assert lane.progress.last_turn > 0


async def test_documents_whose_cutting_hangs_leave_threads_to_chunks() -> None:
    lane, end = Lane(width=2), threading.Event()

    async def cut() -> None:
        async with lane.cutting():
            await lane.computed(end.wait, 120)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(cut())
            await turns()
            async with lane.chunk():
                assert await asyncio.wait_for(lane.computed(len, "four"), 60) == 4
            end.set()
    finally:
        end.set()


async def test_thread_that_cannot_be_started_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="can't start new thread"):
        await Lane().computed(len, "four")
