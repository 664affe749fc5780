"""A few hundred schedules with fixed seeds; `make simulate` runs as many as you like."""

import re
import subprocess
import sys
from pathlib import Path

SIMULATION = Path(__file__).parent


def simulate(*arguments: str) -> subprocess.CompletedProcess[str]:
    """In processes of its own: a schedule seeds the random numbers of the whole process."""
    command = [sys.executable, str(SIMULATION), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_no_schedule_of_three_hundred_loses_a_task_or_does_a_step_twice():
    ran = simulate("--runs", "300", "--seed", "1", "--processes", "1")

    assert ran.returncode == 0, ran.stdout[-8000:] + ran.stderr[-2000:]
    assert re.search(r"^seed 1: 300 schedules, .* 0 failed$", ran.stdout, re.M)


def test_a_schedule_is_the_same_event_by_event_when_it_is_run_again():
    traces = [simulate("--runs", "1", "--seed", "10124", "--trace", "--processes", "1").stdout for _ in range(2)]

    first, again = (trace.splitlines()[:-1] for trace in traces)  # the last line says how long it took
    assert len(first) > 50
    assert first == again
