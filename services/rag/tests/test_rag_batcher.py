"""What waits is asked together, by kind, and everybody gets their own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from worksite.rag.stores.batcher import MOST, Batcher

pytestmark = pytest.mark.asyncio


class Oracle:
    """Doubles numbers, once it may; remembers what it was asked together. It knows nothing of 13."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []
        self.may_answer = asyncio.Event()

    async def answered(self, numbers: Sequence[int]) -> list[int]:
        self.calls.append(list(numbers))
        await self.may_answer.wait()
        if 13 in numbers:
            raise ValueError("13")
        return [2 * number for number in numbers]


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


async def asked(batcher: Batcher[int, int], *questions: tuple[str, int]) -> list[asyncio.Task[int]]:
    """All of them wait in the batcher when this returns."""
    tasks = [asyncio.create_task(batcher.ask(kind, number)) for kind, number in questions]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_question_alone_is_asked_at_once(oracle: Oracle) -> None:
    await asked(Batcher(oracle.answered), ("a", 1))
    assert oracle.calls == [[1]]


async def test_questions_that_come_while_another_is_answered_are_asked_together(oracle: Oracle) -> None:
    batcher = Batcher(oracle.answered)
    first = await asked(batcher, ("a", 1))
    others = await asked(batcher, ("a", 2), ("a", 3), ("a", 4))
    oracle.may_answer.set()
    assert await asyncio.gather(*first, *others) == [2, 4, 6, 8]
    assert oracle.calls == [[1], [2, 3, 4]]


async def test_questions_of_different_kinds_are_never_asked_together(oracle: Oracle) -> None:
    batcher = Batcher(oracle.answered)
    first = await asked(batcher, ("a", 1))
    others = await asked(batcher, ("b", 2), ("c", 3), ("b", 4), ("c", 5))
    oracle.may_answer.set()
    assert await asyncio.gather(*first, *others) == [2, 4, 6, 8, 10]
    assert oracle.calls == [[1], [2, 4], [3, 5]]


async def test_call_takes_no_more_than_the_most(oracle: Oracle) -> None:
    batcher = Batcher(oracle.answered)
    first = await asked(batcher, ("a", 0))
    others = await asked(batcher, *(("a", number) for number in range(1, MOST + 3)))
    oracle.may_answer.set()
    await asyncio.gather(*first, *others)
    assert [len(call) for call in oracle.calls] == [1, MOST, 2]


async def test_question_that_cannot_be_answered_fails_alone(oracle: Oracle) -> None:
    batcher = Batcher(oracle.answered)
    first = await asked(batcher, ("a", 1))
    others = await asked(batcher, ("a", 2), ("a", 13), ("a", 4))
    oracle.may_answer.set()
    two, error, four = await asyncio.gather(*others, return_exceptions=True)
    assert (await first[0], two, four) == (2, 4, 8)
    assert isinstance(error, ValueError)


async def test_question_whose_asker_has_gone_is_not_asked_and_harms_nobody(oracle: Oracle) -> None:
    batcher = Batcher(oracle.answered)
    (under_way,) = await asked(batcher, ("a", 1))
    waiting, other = await asked(batcher, ("a", 2), ("a", 3))
    under_way.cancel()
    waiting.cancel()
    await asyncio.wait({under_way, waiting})
    oracle.may_answer.set()
    assert await other == 6
    assert oracle.calls == [[1], [3]]
    assert await batcher.ask("a", 4) == 8
