"""Copies of a person's repository lie below the state directory, and those of a killed command do not stay."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from worksite.cli.workplace import sweep, workplace

_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from worksite.cli.workplace import workplace
with workplace(Path(sys.argv[1])) as folder:
    (folder / "project.bundle").write_text("source")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def at_work(tmp_path):
    """Another process in its folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", _UNTIL_KILLED, tmp_path / "state"], stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process, Path(process.stdout.readline().strip())
        process.kill()


def test_what_a_killed_command_left_is_removed_by_the_next_one(tmp_path, at_work):
    process, left = at_work
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (left / "project.bundle").exists()
    with workplace(tmp_path / "state") as folder:
        assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    assert not (tmp_path / "state").exists()


def test_the_folder_of_a_command_at_work_is_left_alone(tmp_path, at_work):
    _, folder = at_work
    sweep(tmp_path / "state")
    assert (folder / "project.bundle").read_text() == "source"


@pytest.mark.parametrize("command", ["review", "run"])
def test_no_copy_of_my_repository_is_made_outside_of_the_state(
    gateway, worksite, repository, tmp_path, monkeypatch, command
):
    mine = repository()
    mine.commit("first", app_py="print(1)\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "where-nothing-can-be-made"))
    done = worksite(*(["review", mine.path] if command == "review" else ["run", "Add it", "--repo", mine.path]))
    assert done.exit_code == 0, done.stderr
    assert gateway.sent("POST", "/v1/uploads")


def test_a_state_in_my_repository_is_no_uncommitted_change(gateway, repository):
    mine = repository()
    mine.commit("first", app_py="print(1)\n")
    with workplace(mine.path / ".worksite") as folder:
        (folder / "project.bundle").write_text("source")
        assert mine("status", "--porcelain") == ""
