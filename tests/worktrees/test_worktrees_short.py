"""A few worktrees whose workers are killed; `make worktrees-proof` has two hundred of each kind."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.timeout(300)  # on a machine that does much else
def test_killed_workers_leave_no_stale_base_no_lost_commit_and_no_orphan():
    command = [sys.executable, str(HERE), "--worktrees", "6", "--seed", "1"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=290, check=False)

    assert ran.returncode == 0, ran.stdout[-4000:] + ran.stderr[-4000:]
    nothing = "0 stale bases, 0 lost commits, 0 taken while in use, 0 orphans"
    assert re.search(rf"^seed 1: 6 worktrees of builders, 3 workers killed: {nothing}$", ran.stdout, re.M)
    assert re.search(rf"^seed 1: 6 worktrees of people, \d+ workers killed: {nothing}$", ran.stdout, re.M)
