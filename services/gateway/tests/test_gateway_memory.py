"""The budget of bytes: never overdrawn, in order, and given back whatever happens."""

from __future__ import annotations

import asyncio

import pytest
from worksite.common.errors import ServiceUnavailable
from worksite.gateway.memory import ByteBudget


@pytest.mark.asyncio
async def test_no_more_is_held_than_there_is_and_everybody_has_their_turn() -> None:
    budget, held, most, order = ByteBudget(10), 0, 0, list[int]()

    async def send(size: int) -> None:
        nonlocal held, most
        async with budget.take(size):
            held += min(size, 10)
            most = max(most, held)
            order.append(size)
            await asyncio.sleep(0)
            held -= min(size, 10)

    sizes = [3, 4, 9, 1, 2, 50, 5, 1]
    await asyncio.gather(*(send(size) for size in sizes))

    assert order == sizes
    assert most <= 10


@pytest.mark.asyncio
async def test_who_waits_too_long_or_fails_leaves_nothing_missing() -> None:
    budget = ByteBudget(10, patience_seconds=0.01)

    async def fail() -> None:
        async with budget.take(8):
            with pytest.raises(ServiceUnavailable):
                await budget.take(3).__aenter__()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    async with budget.take(10):
        pass
