"""The builder with a copy of the tests' blueprints, and somebody's repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from worksite.builder.testing import Desk, Origin, run_git
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus


@pytest.fixture
def desk(bus: Bus, tmp_path: Path) -> Desk:
    """The builder with a copy of the tests' blueprints."""
    shutil.copytree(Path(__file__).parent / "blueprints", tmp_path / "blueprints")
    return Desk(Artifacts(bus), tmp_path / "state", tmp_path / "blueprints")


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    """A repository with no commit yet."""
    folder = tmp_path / "origin"
    folder.mkdir()
    run_git(folder, "init", "--quiet", "--initial-branch=trunk")
    return Origin(folder)
