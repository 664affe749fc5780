"""A conversation with a sandboxed program."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from worksite.validator.sandbox import Job, LauncherError, Limits, LineTooLong, Sandbox, SessionClosed

pytestmark = pytest.mark.asyncio

ECHO = """
import sys
for line in sys.stdin:
    print("heard", line.strip(), flush=True)
print("end", file=sys.stderr)
"""


async def test_lines_go_in_and_come_back(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    async with sandbox.open(job(ECHO)) as session:
        for word in (b"one", b"two"):
            await session.write(word + b"\n")
            assert await session.readline(limit=100, timeout=5) == b"heard " + word + b"\n"
        outcome = await session.wait()
        assert session.stderr_tail() == b"end\n"
    assert (outcome.exit_code, outcome.stdout) == (0, b"")


async def test_a_silent_program_times_out(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    async with sandbox.open(job(ECHO)) as session:
        with pytest.raises(TimeoutError):
            await session.readline(limit=100, timeout=0.1)


async def test_a_line_over_the_limit_is_refused(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    async with sandbox.open(job("print('x' * 101, flush=True); import time; time.sleep(20)")) as session:
        with pytest.raises(LineTooLong):
            await session.readline(limit=100, timeout=5)


async def test_the_end_of_the_output_is_told(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    async with sandbox.open(job("import sys; print('last', end=''); sys.exit(3)")) as session:
        with pytest.raises(SessionClosed):
            await session.readline(limit=100, timeout=5)
        assert (await session.wait()).exit_code == 3


async def test_writing_to_an_ended_program_is_told(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    async with sandbox.open(job("pass")) as session:
        await session.wait()
        with pytest.raises(SessionClosed):
            await session.write(b"x")


async def test_leaving_the_conversation_ends_the_program(
    sandbox: Sandbox, job: Callable[..., Job], running: Callable[[str], list[int]]
) -> None:
    async with sandbox.open(job("while True: pass", "talkative-marker")):
        assert running("talkative-marker")
    assert running("talkative-marker") == []


async def test_limits_hold_during_a_conversation(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    async with sandbox.open(job(ECHO, limits=Limits(wall_seconds=0.5))) as session:
        with pytest.raises(SessionClosed):
            await session.readline(limit=100, timeout=10)
        assert (await session.wait()).stopped == "wall_clock"


async def test_all_output_of_a_conversation_counts(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    chatter = "while True: print('x' * 999, flush=True)"
    async with sandbox.open(job(chatter, limits=Limits(output_bytes=10_000, wall_seconds=15))) as session:
        for _ in range(10):
            assert len(await session.readline(limit=2000, timeout=5)) == 1000
        with pytest.raises(SessionClosed):
            await session.readline(limit=2000, timeout=5)
        assert (await session.wait()).stopped == "output"


async def test_a_conversation_with_nobody_does_not_begin(sandbox: Sandbox, job: Callable[..., Job]) -> None:
    nobody = Job(("/nowhere/python",), job("pass").workspace)
    with pytest.raises(LauncherError):
        async with sandbox.open(nobody) as session:
            await session.wait()


@pytest.mark.parametrize("turns", range(0, 16, 3))
@pytest.mark.parametrize("cancelled", ["every task", "the pipes"])
async def test_a_start_that_loses_its_own_tasks_can_still_be_cancelled(
    sandbox: Sandbox, job: Callable[..., Job], running: Callable[[str], list[int]], turns: int, cancelled: str
) -> None:
    marker = f"shutdown-marker-{turns}-"
    before = asyncio.all_tasks()

    async def start() -> None:
        async with sandbox.open(job("import time; time.sleep(60)", marker)):
            await asyncio.sleep(60)

    caller = asyncio.create_task(start())
    while not (pipes := {task for task in asyncio.all_tasks() - before if "_connect_pipes" in repr(task)}):
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in pipes if cancelled == "the pipes" else asyncio.all_tasks() - before:
        task.cancel()
    await asyncio.sleep(0)
    caller.cancel()
    _, waiting = await asyncio.wait([caller], timeout=10)

    assert not waiting
    assert not running(marker)
