"""The probe that `worksite doctor` asks says what the validator would find at its start."""

import json
import subprocess
import sys

import pytest
from worksite.validator.probing import probe_machine
from worksite.validator.sandbox import SandboxSettings


@pytest.mark.asyncio
async def test_the_probe_finds_the_level_that_the_validator_would_use(bench):
    settings = SandboxSettings(state_dir=bench.sandbox.root, root=bench.sandbox.root)
    found = await probe_machine(settings)
    assert (found.level, found.layers) == (bench.sandbox.isolation.level, bench.sandbox.isolation.layers)
    assert found.problem is None
    assert found.landlock_abi >= 1


def test_without_what_is_insisted_on_the_probe_says_why_and_what_to_do(tmp_path):
    environment = {"PATH": str(tmp_path), "STATE_DIR": str(tmp_path / "validator"), "SANDBOX": "namespaces"}
    command = [sys.executable, "-m", "worksite.validator.probing"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    found = json.loads(done.stdout)
    assert (found["level"], found["bubblewrap"]) == (None, None)
    assert "install bubblewrap" in found["problem"]
