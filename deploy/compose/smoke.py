"""Has the stack do the main job while each of its containers is killed, watched by Prometheus, then takes it all away.

`make compose-smoke`; with VAULT=1 (`--vault` here) the services have their secrets from OpenBao. Images that are not
there are built: ours, and those of NATS, Prometheus, Alertmanager and OpenBao where this machine has the programs (see
stand_ins.py). rag keeps its own index, so that none has to be pulled for it; Grafana and the collector of traces are
left out. Variables that the files read are handed on: NATS_IMAGE for the official one.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import closed
import httpx
import make_secrets
import stand_ins
import watched
from engine import FILE, OBSERVABILITY, VAULT, Project, docker, missing, say, until
from worksite.cli.stack.state import CLIENT_ID
from worksite.common.processes import free_port
from worksite.common.subjects import SERVICES

ROOT = Path(__file__).parents[2]
NAME = "worksite-smoke"
REQUEST = "Create auth system"
CONTAINERS = ("nats", *SERVICES, "prometheus", "alertmanager")
KILLED_IN = {
    "2-design": ("admin", "rag", "architect"),
    "3-build": ("builder", "prometheus", "alertmanager"),
    "4-validate": ("validator", "nats", "gateway"),
}
READY_SECONDS, TASK_SECONDS = 600, 900


def main() -> None:
    """Exit status 0 when all went well."""
    if reason := missing():
        sys.exit(f"{reason}: the smoke test needs a Docker engine and Compose")
    parser = argparse.ArgumentParser()
    parser.add_argument("--vault", action="store_true", help="secrets come from OpenBao")
    vault = parser.parse_args().vault
    build_what_is_missing()
    with tempfile.TemporaryDirectory() as folder:
        project = prepared(Path(folder), vault=vault)
        with running(project):
            closed.check(project)
            say(f"the validator's sandbox: {isolation(project)}")
            if vault:
                say(f"secrets as files, in all six services: {', '.join(secret_files(project))}")
            do_the_job(project, Path(folder))
            watched.check(project)
    say("PASS; nothing is left")


def build_what_is_missing() -> None:
    """Or is of another commit, or of files that were in none. With PYTHON_IMAGE, where it is set."""
    head = subprocess.run(["git", "-C", ROOT, "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
    wanted = [name for name in (*SERVICES, "cli") if revision(name) != head.stdout.strip()]
    if wanted:
        subprocess.run([ROOT / "deploy" / "images" / "build.sh", *wanted], check=True)


def revision(name: str) -> str:
    """The commit that an image is of; empty where there is no image."""
    label = '{{index .Config.Labels "org.opencontainers.image.revision"}}'
    return docker("image", "inspect", "--format", label, f"worksite/{name}:0.1.0", check=False)


def prepared(folder: Path, *, vault: bool = False) -> Project:
    """Its secrets made, its port chosen; nothing runs yet."""
    secrets, empty = folder / "secrets", folder / "empty.env"
    make_secrets.make_missing(secrets)
    empty.touch()
    defaults = {"QDRANT_HOST": "", "NATS_DISK_GIB": "2", **stand_ins.made()}
    ours = {"SECRETS": str(secrets), "DASHBOARD_PORT": str(free_port()), "GATEWAY_ADDRESS": "127.0.0.1"}
    files = (FILE, OBSERVABILITY, *([VAULT] if vault else []))
    return Project(NAME, {**defaults, **os.environ, **ours}, empty, files)


@contextlib.contextmanager
def running(project: Project) -> Iterator[None]:
    """All containers are well. Raises AssertionError if anything is left of them afterwards."""
    try:
        project.compose("up", "--detach", "provision", *CONTAINERS)
        wait_until_well(project)
        yield
    except BaseException:
        print(project.compose("logs", "--tail", "30"), file=sys.stderr)
        raise
    finally:
        project.compose("down", "--volumes", "--remove-orphans")
    assert project.left() == []


def wait_until_well(project: Project) -> None:
    """Raises AssertionError."""
    until("all are well", READY_SECONDS, lambda: all(map(project.is_well, CONTAINERS)))


def do_the_job(project: Project, folder: Path) -> None:
    """Raises AssertionError."""
    (address,) = project.published("gateway")
    url = f"http://{address}"
    secret = (folder / "secrets" / "cli" / "client_secret").read_text()
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        http.headers["Authorization"] = f"Bearer {token(http, secret)}"
        task = answer_of(http.post("/v1/tasks", json={"request": REQUEST}))["id"]
        say(f"task {task}")
        for step, names in killed_in(project).items():
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
    for name in project.services():
        assert name == "provision" or project.container(name)["State"]["Running"], name


def killed_in(project: Project) -> dict[str, tuple[str, ...]]:
    """Containers by the step that they are killed in. Raises AssertionError when one of the project's is forgotten."""
    vault = ("openbao",) if "openbao" in project.services() else ()
    killed = {**KILLED_IN, "2-design": (*vault, *KILLED_IN["2-design"])}
    assert {name for names in killed.values() for name in names} == {*project.services()} - {"provision"}
    return killed


def secret_files(project: Project) -> set[str]:
    """Those with something in them. Raises AssertionError when a service has any but what it signs in to Vault with."""
    there = {name: project.run_in(name, "find", "/run/secrets", "-type", "f", "-size", "+0") for name in SERVICES}
    found = {path for paths in there.values() for path in paths.split()}
    assert found == {"/run/secrets/vault_secret_id"}, there
    return found


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


def isolation(project: Project) -> dict[str, Any]:
    """What confines candidates in the validator's container. Raises AssertionError for less than `jail`."""
    found = json.loads(project.run_in("validator", "python", "-m", "worksite.validator.probing"))
    assert found["level"] in {"jail", "namespaces"}, found
    return found


if __name__ == "__main__":
    main()
