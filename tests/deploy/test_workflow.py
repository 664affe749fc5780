"""GitHub's workflow: valid by its schema, its actions are pinned, and what it calls exists. GitHub is not here."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".github/workflows/ci.yml"
JOBS = yaml.safe_load(FILE.read_text())["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
COMMANDS = [step["run"] for step in STEPS if "run" in step]


def test_the_workflow_is_valid():
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", FILE]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("action", sorted({step["uses"] for step in STEPS if "uses" in step}))
def test_an_action_is_pinned_to_a_commit(action):
    assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}", action)


@pytest.mark.parametrize("target", sorted({name for run in COMMANDS for name in re.findall(r"make ([a-z -]+)", run)}))
def test_a_target_that_is_called_exists(target):
    known = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
    assert set(target.split()) <= set(known)


@pytest.mark.parametrize("pattern", sorted({part for run in COMMANDS for part in run.split() if "tests" in part}))
def test_tests_that_are_called_exist(pattern):
    assert list(ROOT.glob(pattern))


@pytest.mark.parametrize("name", JOBS)
def test_a_job_may_read_the_repository_and_nothing_else(name):
    assert JOBS[name]["permissions"] == {"contents": "read"}


def test_what_ci_runs_is_tested_on_both_kinds_of_processor():
    assert ".ci/run" in [step.get("run") for step in JOBS["test"]["steps"]]
    assert {"ubuntu-24.04", "ubuntu-24.04-arm"} <= set(JOBS["test"]["strategy"]["matrix"]["os"])


def test_the_tests_that_need_an_engine_run_where_one_is():
    assert "make proofs" in (ROOT / ".ci/run").read_text().splitlines()
    assert '-m "timed or compose"' in (ROOT / "Makefile").read_text().partition("\nproofs:")[2].partition("\n\n")[0]
