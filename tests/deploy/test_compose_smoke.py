"""The images, and the stack of `make compose-smoke`, which testcontainers starts and ends here. Minutes."""

import json
import mmap
import os
import re
import subprocess
import sys
from functools import cached_property
from pathlib import Path

import closed
import engine
import pytest
import smoke
import watched
from worksite.common.subjects import SERVICES

ROOT = Path(__file__).parents[2]
UNWANTED = engine.missing()
IMAGES = (*SERVICES, "cli")
CANARIES = {name: f"canary-{name}-4711".lower() for name in ("ANTHROPIC_API_KEY", "NATS_PASSWORD", "JWT_SECRET_KEY")}
"""In the environment of whoever builds."""

pytestmark = [
    pytest.mark.compose,
    pytest.mark.skipif(UNWANTED is not None, reason=str(UNWANTED)),
    pytest.mark.timeout(3600),
]


@pytest.fixture(scope="module")
def images():
    """Built by somebody with secrets in the environment; build.sh fails for one that is too large."""
    base = os.environ.get("PYTHON_IMAGE", f"python:{sys.version_info.major}.{sys.version_info.minor}-slim")
    if not (engine.has(base) or engine.pulled(base)):
        pytest.skip(f"the base image {base} is neither here nor to be had: name another in PYTHON_IMAGE")
    build = [ROOT / "deploy" / "images" / "build.sh"]
    ran = subprocess.run(build, env={**os.environ, **CANARIES}, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def stack_of(project: engine.Project):
    """testcontainers' own, which knows version 2 of Compose only: told the command, it starts and ends it by either."""
    from testcontainers.compose import DockerCompose

    class Stack(DockerCompose):
        @cached_property
        def compose_command_property(self) -> list[str]:
            return project.command()

    return Stack(ROOT / "deploy" / "compose", wait=False)


@pytest.fixture(scope="module")
def project(images, tmp_path_factory):
    """All well; nothing of it is left afterwards."""
    project = smoke.prepared(tmp_path_factory.mktemp("smoke"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TESTCONTAINERS_RYUK_DISABLED", "true")
        for name, value in project.variables.items():
            patch.setenv(name, value)
        stack = stack_of(project)
        try:
            stack.services = ["provision", *smoke.CONTAINERS]
            stack.start()
            smoke.wait_until_well(project)
            yield project
        finally:
            stack.services = None  # all of them
            stack.stop()
    assert project.left() == []


def test_the_validator_cannot_reach_out_and_no_port_but_the_gateways_is_published(project):
    closed.check(project)


def test_candidates_are_confined_in_the_validators_container(project):
    assert smoke.isolation(project)


def test_the_stack_does_the_main_job_while_its_containers_are_killed(project):
    smoke.do_the_job(project, project.empty.parent)


def test_prometheus_asks_every_service_and_an_alert_fires_and_goes(project):
    watched.check(project)


def inspected(name: str) -> dict:
    return json.loads(engine.docker("image", "inspect", f"worksite/{name}:0.1.0"))[0]


@pytest.mark.parametrize("name", IMAGES)
def test_the_build_says_how_much_an_image_adds_to_its_base(images, name):
    (megabytes,) = re.findall(rf"^worksite/{name}: (\d+) MB on top of ", images, re.M)
    assert int(megabytes) < (450 if name == "rag" else 150)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_says_what_it_is_and_what_is_in_it(images, name):
    config = inspected(name)["Config"]
    assert config["User"] == ("20002:20002" if name == "validator" else "20001:20001")
    labels = {key.removeprefix("org.opencontainers.image."): value for key, value in config["Labels"].items()}
    assert (labels["title"], labels["version"]) == (f"worksite-{name}", "0.1.0")
    assert len(labels["revision"]) == 40
    bill = json.loads(run_in(name, "cat", "sbom.json"))
    assert {normal(part["name"]) for part in bill["components"]} == installed(name)


def installed(name: str) -> set[str]:
    """Distributions in the image's environment."""
    lists = "from importlib.metadata import distributions; print(*(each.name for each in distributions()))"
    return {normal(each) for each in run_in(name, "/opt/worksite/bin/python", "-c", lists).split()}


def normal(name: str) -> str:
    return re.sub("[-_.]+", "-", name).lower()


def run_in(name: str, program: str, *arguments: str) -> str:
    image = f"worksite/{name}:0.1.0"
    return engine.docker("run", "--rm", "--network", "none", "--entrypoint", program, image, *arguments)


@pytest.mark.parametrize("name", IMAGES)
def test_no_secret_of_who_built_an_image_is_in_its_layers_or_its_history(images, name, tmp_path):
    """Nor one of the Compose stack on the same machine."""
    canaries = {value.encode() for value in CANARIES.values()}
    secrets = ROOT / "deploy" / "compose" / "secrets"
    canaries |= {text for path in secrets.rglob("*") if path.is_file() and len(text := path.read_bytes().strip()) > 20}
    saved = tmp_path / "image.tar"
    engine.docker("save", "--output", str(saved), f"worksite/{name}:0.1.0")
    with saved.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert data.find(b"worksite_common") > 0, "the layers are not read"
        assert [canary for canary in canaries if data.find(canary) >= 0] == []
    saved.unlink()
