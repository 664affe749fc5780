"""Folders of attempts: kept when work could be lost, swept when nobody came back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from worksite.builder import steps
from worksite.common.errors import StepRefused

TASK, STEP = "0" * 32, "3-build"


@pytest.mark.asyncio
async def test_a_finished_attempt_leaves_nothing(tmp_path: Path) -> None:
    async with steps.attempt(tmp_path, TASK, STEP) as folder:
        (folder / "work").write_text("stored elsewhere by now")

    assert not folder.exists()


@pytest.mark.asyncio
async def test_a_refused_attempt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StepRefused):
        async with steps.attempt(tmp_path, TASK, STEP) as folder:
            raise StepRefused("no_engine", "made nothing")

    assert not folder.exists()


@pytest.mark.asyncio
async def test_a_failed_attempt_keeps_its_work_until_the_next_begins(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        async with steps.attempt(tmp_path, TASK, STEP) as folder:
            raise OSError("disk")
    assert folder.exists()

    async with steps.attempt(tmp_path, TASK, STEP) as second:
        assert second != folder
        assert not folder.exists()


@pytest.mark.asyncio
async def test_an_attempt_leaves_other_steps_alone(tmp_path: Path) -> None:
    async with (
        steps.attempt(tmp_path, TASK, "3-build") as one,
        steps.attempt(tmp_path, TASK, "13-build") as other,
        steps.attempt(tmp_path, "1" * 32, "3-build") as another,
    ):
        assert one.exists()
        assert other.exists()
        assert another.exists()


def test_only_folders_older_than_a_day_are_swept(tmp_path: Path) -> None:
    old, new = tmp_path / "steps" / "old", tmp_path / "steps" / "new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    yesterday = time.time() - steps.STALE_SECONDS - 60
    os.utime(old, (yesterday, yesterday))

    steps.sweep(tmp_path)

    assert [path.name for path in (tmp_path / "steps").iterdir()] == ["new"]
