"""Has the stack of compose.yaml do the main job while each of its containers is killed, then takes it all away.

`make compose-smoke`. Images that are not there are built, NATS's from the wheel of the tests; rag keeps its own index,
so that none has to be pulled. Variables that compose.yaml reads are handed on: NATS_IMAGE for the official one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import make_secrets
from engine import Project, docker, missing
from worksite.cli.stack.state import CLIENT_ID
from worksite.common.processes import free_port, nats_server
from worksite.common.subjects import SERVICES

ROOT = Path(__file__).parents[2]
NAME = "worksite-smoke"
STAND_IN = "worksite/nats-stand-in:0.1.0"
REQUEST = "Create auth system"
KILLED_IN = {
    "2-design": ("admin", "rag", "architect"),
    "3-build": ("builder",),
    "4-validate": ("validator", "nats", "gateway"),
}
READY_SECONDS, TASK_SECONDS = 600, 900


def main() -> None:
    """Exit status 0 when all went well."""
    if reason := missing():
        sys.exit(f"{reason}: the smoke test needs a Docker engine and Compose")
    build_what_is_missing()
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as (project, url):
        assert networks_that_lead_out(project, "validator") == []
        say(f"the validator's sandbox: {isolation(project)}")
        do_the_job(project, url, Path(folder))
    say("PASS; nothing is left")


def build_what_is_missing() -> None:
    """With PYTHON_IMAGE, where it is set."""
    tagged = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    absent = [name for name in (*SERVICES, "cli") if f"worksite/{name}:0.1.0" not in tagged]
    if absent:
        subprocess.run([ROOT / "deploy" / "images" / "build.sh", *absent], check=True)
    if "NATS_IMAGE" not in os.environ and STAND_IN not in tagged:
        build_stand_in()


def build_stand_in() -> None:
    base = [f"PYTHON_IMAGE={os.environ['PYTHON_IMAGE']}"] if "PYTHON_IMAGE" in os.environ else []
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(Path(__file__).with_name("stand-ins") / "nats", folder, dirs_exist_ok=True)
        shutil.copy(nats_server(), folder)
        docker("build", "--quiet", "--tag", STAND_IN, *(f"--build-arg={each}" for each in base), folder)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[tuple[Project, str]]:
    """The stack, its gateway ready at the URL. Raises AssertionError if anything is left of it afterwards."""
    secrets, empty, port = folder / "secrets", folder / "empty.env", free_port()
    make_secrets.make_missing(secrets)
    empty.touch()
    defaults = {"NATS_IMAGE": STAND_IN, "QDRANT_HOST": "", "NATS_DISK_GIB": "2"}
    ours = {"SECRETS": str(secrets), "DASHBOARD_PORT": str(port), "GATEWAY_ADDRESS": "127.0.0.1"}
    project = Project(NAME, {**defaults, **os.environ, **ours}, empty)
    try:
        project.compose("up", "--detach", "nats", "provision", *SERVICES)
        until("all services are well", READY_SECONDS, lambda: all(is_well(project, name) for name in SERVICES))
        yield project, f"http://127.0.0.1:{port}"
    except BaseException:
        print(project.compose("logs", "--tail", "30"), file=sys.stderr)
        raise
    finally:
        project.compose("down", "--volumes", "--remove-orphans")
    assert project.left() == []


def do_the_job(project: Project, url: str, folder: Path) -> None:
    """Raises AssertionError."""
    secret = (folder / "secrets" / "cli" / "client_secret").read_text()
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        http.headers["Authorization"] = f"Bearer {token(http, secret)}"
        task = answer_of(http.post("/v1/tasks", json={"request": REQUEST}))["id"]
        say(f"task {task}")
        for step, names in KILLED_IN.items():
            until(step, TASK_SECONDS, lambda step=step: step in steps(http, task))
            for name in names:
                project.kill(name)
                say(f"{step}: killed {name}")
    out = folder / "out"
    access = {"WORKSITE_URL": url, "WORKSITE_CLIENT_SECRET": secret}
    command = [sys.executable, "-m", "worksite.cli.main", "watch", task, "--out", str(out)]
    subprocess.run(command, env={**os.environ, **access}, check=True, timeout=TASK_SECONDS)
    report = json.loads((out / task / "report.json").read_text())
    assert report["verdict"] == "PASS", report
    log = ["git", "-C", str(out / task / "project"), "log", "--oneline"]
    say("fetched:\n" + subprocess.run(log, capture_output=True, text=True, check=True).stdout.rstrip())
    for name in ("nats", *SERVICES):
        assert project.container(name)["State"]["Running"], name


def token(http: httpx.Client, secret: str) -> str:
    wanted = {"grant_type": "client_credentials", "tenant": "local", "role": "developer"}
    return answer_of(http.post("/oauth/token", auth=(CLIENT_ID, secret), data=wanted))["access_token"]


def steps(http: httpx.Client, task: str) -> set[str]:
    """Those that the task has come to."""
    with contextlib.suppress(httpx.TransportError):  # the gateway is being started again
        answer = http.get(f"/v1/tasks/{task}/events", params={"follow": "false"})
        events = [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:") and line[5:]]
        return {event["body"].get("step") for event in events}
    return set()


def answer_of(response: httpx.Response) -> Any:
    return response.raise_for_status().json()


def is_well(project: Project, service: str) -> bool:
    return project.container(service)["State"].get("Health", {}).get("Status") == "healthy"


def isolation(project: Project) -> dict[str, Any]:
    """What confines candidates in the validator's container. Raises AssertionError for less than `jail`."""
    container = project.container("validator")["Id"]
    found = json.loads(docker("exec", container, "python", "-m", "worksite.validator.probing"))
    assert found["level"] in {"jail", "namespaces"}, found
    return found


def networks_that_lead_out(project: Project, service: str) -> list[str]:
    """Of a container; the engine forwards nothing from an internal network to anywhere else."""
    joined = project.container(service)["NetworkSettings"]["Networks"]
    return [name for name in joined if docker("network", "inspect", "--format", "{{.Internal}}", name) != "true"]


def until(what: str, seconds: float, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.5)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
