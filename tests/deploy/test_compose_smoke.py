"""Images and Compose with a real engine: minutes of work, so only where COMPOSE_SMOKE=1 asks for it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from worksite.common.subjects import SERVICES

FOLDER = Path(__file__).parents[2] / "deploy" / "compose"
sys.path.append(str(FOLDER))

import engine  # noqa: E402

MEGABYTES = {"rag": 450}
"""On top of the base image; without rag's models, which are a layer of their own."""
FEW_MEGABYTES = 150
UNWANTED = "COMPOSE_SMOKE=1 is not set" if os.environ.get("COMPOSE_SMOKE") != "1" else engine.missing()

pytestmark = [
    pytest.mark.skipif(UNWANTED is not None, reason=str(UNWANTED)),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def smoke():
    """Runs the script once; the images are there afterwards."""
    return subprocess.run([sys.executable, FOLDER / "smoke.py"], capture_output=True, text=True, check=False)


def inspected(name: str) -> dict:
    return json.loads(engine.docker("image", "inspect", f"worksite/{name}:0.1.0"))[0]


def layers(name: str) -> list[int]:
    """Bytes that each instruction of its Dockerfile added, and first the base image's, if it was one layer."""
    lines = engine.docker("image", "history", "--human=false", "--format", "{{.Size}}", f"worksite/{name}:0.1.0")
    return [int(line) for line in reversed(lines.split())]


def test_the_stack_does_the_main_job_while_its_containers_are_killed(smoke):
    assert smoke.returncode == 0, smoke.stdout + smoke.stderr
    assert "PASS; nothing is left" in smoke.stdout


@pytest.mark.parametrize("name", [*SERVICES, "cli"])
def test_an_image_is_small_on_top_of_its_base(smoke, name):
    base = json.loads(engine.docker("image", "inspect", os.environ.get("PYTHON_IMAGE", "python:3.11-slim")))[0]
    added = inspected(name)["Size"] - base["Size"]
    models = max(size for size in layers(name) if 40e6 < size < 60e6) if name == "rag" else 0
    assert (added - models) / 1e6 < MEGABYTES.get(name, FEW_MEGABYTES)


@pytest.mark.parametrize("name", [*SERVICES, "cli"])
def test_an_image_says_what_it_is_and_what_is_in_it(smoke, name):
    config = inspected(name)["Config"]
    assert config["User"] == ("20002:20002" if name == "validator" else "20001:20001")
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert (labels["title"], labels["version"]) == (f"worksite-{name}", "0.1.0")
    assert len(labels["revision"]) == 40
    shown = ["run", "--rm", "--network", "none", "--entrypoint", "cat", f"worksite/{name}:0.1.0", "sbom.json"]
    parts = {part["name"] for part in json.loads(engine.docker(*shown))["components"]}
    assert {f"worksite-{name}", "worksite-common", "pydantic"} <= parts
