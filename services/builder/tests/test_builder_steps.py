"""Folders of attempts: never removed while somebody works in them; leftovers go at a start, by age and by size."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from worksite.builder import steps
from worksite.builder.steps import Workplaces
from worksite.common.errors import StepRefused

TASK, STEP = "0" * 32, "3-build"
MIB = 1 << 20
AT_WORK = f"""
import asyncio, pathlib, sys
from worksite.builder.steps import Workplaces

async def main():
    async with Workplaces(pathlib.Path(sys.argv[1]), 0).attempt("{TASK}", "{STEP}") as folder:
        (folder / "work").write_text("half done")
        print(folder, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def workplaces(tmp_path: Path) -> Workplaces:
    return Workplaces(tmp_path, 10 * MIB)


@asynccontextmanager
async def another_builder(state_dir: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, Path]]:
    """A process in the middle of an attempt, and the folder of the attempt."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AT_WORK, str(state_dir), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        yield process, Path((await process.stdout.readline()).decode().strip())
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def fail(workplaces: Workplaces, step: str, size: int = 0) -> Path:
    """The folder of a failed attempt that wrote so many bytes."""
    folder = workplaces.state_dir
    with contextlib.suppress(OSError):
        async with workplaces.attempt(TASK, step) as folder:
            (folder / "work").write_bytes(b"x" * size)
            raise OSError("disk")
    return folder


def age(folder: Path, seconds: float) -> None:
    os.utime(folder, (time.time() - seconds, time.time() - seconds))


@pytest.mark.asyncio
async def test_a_finished_attempt_leaves_nothing(workplaces: Workplaces) -> None:
    async with workplaces.attempt(TASK, STEP) as folder:
        (folder / "work").write_text("stored elsewhere by now")

    assert not folder.exists()


@pytest.mark.asyncio
async def test_a_refused_attempt_leaves_nothing(workplaces: Workplaces) -> None:
    with pytest.raises(StepRefused):
        async with workplaces.attempt(TASK, STEP) as folder:
            raise StepRefused("no_engine", "made nothing")

    assert not folder.exists()


@pytest.mark.asyncio
async def test_a_failed_attempt_keeps_its_work_until_the_next_begins(workplaces: Workplaces) -> None:
    folder = await fail(workplaces, STEP)
    assert folder.exists()

    async with workplaces.attempt(TASK, STEP) as second:
        assert second != folder
        assert not folder.exists()


@pytest.mark.asyncio
async def test_an_attempt_leaves_other_steps_alone(workplaces: Workplaces) -> None:
    async with (
        workplaces.attempt(TASK, "3-build") as one,
        workplaces.attempt(TASK, "13-build") as other,
        workplaces.attempt("1" * 32, "3-build") as another,
    ):
        assert one.exists()
        assert other.exists()
        assert another.exists()


@pytest.mark.asyncio
async def test_a_killed_builders_folder_is_in_use_until_it_is_dead_and_gone_after_the_next_start(
    workplaces: Workplaces,
) -> None:
    async with another_builder(workplaces.state_dir) as (process, folder):
        workplaces.clear()
        assert (folder / "work").exists()

        process.kill()
        await process.wait()
        assert (folder / "work").exists()
        workplaces.clear()
        assert not folder.exists()


@pytest.mark.asyncio
async def test_an_attempt_that_was_taken_over_keeps_its_folder_until_it_ends(workplaces: Workplaces) -> None:
    async with workplaces.attempt(TASK, STEP) as fenced_off:
        async with workplaces.attempt(TASK, STEP) as successor:
            assert fenced_off.exists()
        assert not successor.exists()

    assert not fenced_off.exists()


@pytest.mark.asyncio
async def test_only_leftovers_older_than_a_day_are_swept_and_none_at_work(workplaces: Workplaces) -> None:
    old, new = await fail(workplaces, "1-import"), await fail(workplaces, "2-build")
    age(old, steps.STALE_SECONDS + 60)

    async with workplaces.attempt(TASK, STEP) as at_work:
        age(at_work, steps.STALE_SECONDS + 60)
        workplaces.sweep()

        assert [folder.exists() for folder in (old, new, at_work)] == [False, True, True]


@pytest.mark.asyncio
async def test_when_leftovers_outgrow_their_cap_the_oldest_go_first_and_none_at_work(workplaces: Workplaces) -> None:
    async with workplaces.attempt(TASK, STEP) as at_work:
        (at_work / "work").write_bytes(b"x" * 20 * MIB)
        first, second, third = [await fail(workplaces, f"{n}-import", 3 * MIB) for n in range(1, 4)]
        for folder, seconds in ((second, 300), (first, 200), (third, 100)):
            age(folder, seconds)
        last = await fail(workplaces, "4-import", 3 * MIB)

        assert [folder.exists() for folder in (second, first, third, last, at_work)] == [False, True, True, True, True]


@pytest.mark.asyncio
async def test_a_leftover_larger_than_the_cap_goes_at_once(workplaces: Workplaces) -> None:
    assert not (await fail(workplaces, STEP, 11 * MIB)).exists()


@pytest.mark.asyncio
async def test_sweeping_is_repeated_until_the_builder_stops(workplaces: Workplaces) -> None:
    stop = asyncio.Event()
    sweeping = asyncio.create_task(workplaces.keep_swept(stop, every_seconds=0.001))

    async with asyncio.timeout(30):
        for step in ("1-import", "2-build"):
            old = await fail(workplaces, step)
            age(old, steps.STALE_SECONDS + 60)
            while old.exists():
                await asyncio.sleep(0.001)
        stop.set()
        await sweeping


@pytest.mark.asyncio
async def test_what_is_no_folder_keeps_no_builder_from_working(workplaces: Workplaces) -> None:
    (workplaces.state_dir / "steps").mkdir()
    (workplaces.state_dir / "steps" / "lost+found").touch()

    workplaces.clear()

    assert (await fail(workplaces, STEP)).exists()
