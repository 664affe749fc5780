"""A Docker engine and Compose, as their command lines are: version 2 of Compose, or 1.29."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("compose.yaml")
VAULT = Path(__file__).with_name("compose.vault.yaml")
OBSERVABILITY = Path(__file__).with_name("compose.observability.yaml")


def docker(*arguments: str, check: bool = True) -> str:
    """What it prints. Raises CalledProcessError, with its complaint on our stderr."""
    ran = subprocess.run(["docker", *arguments], stdout=subprocess.PIPE, text=True, check=check)
    return ran.stdout.strip()


def missing() -> str | None:
    """Why nothing can be run here."""
    if not shutil.which("docker"):
        return "docker is not installed"
    if subprocess.run(["docker", "info"], capture_output=True, check=False).returncode:
        return "no Docker engine answers"
    return None if compose_command() else "Compose is not installed"


def has(image: str) -> bool:
    """Is the image on this machine?"""
    return subprocess.run(["docker", "image", "inspect", image], capture_output=True, check=False).returncode == 0


def pulled(image: str) -> bool:
    """Is it now? False where no registry gives it."""
    return subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, check=False).returncode == 0


@cache
def compose_command() -> tuple[str, ...]:
    """Empty where there is none."""
    for command in (("docker", "compose"), ("docker-compose",)):
        with contextlib.suppress(OSError):
            if subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0:
                return command
    return ()


@dataclass(frozen=True)
class Project:
    """One stack, named apart from others on the same engine; `variables` stand for what `.env` would set."""

    name: str
    variables: Mapping[str, str]
    empty: Path
    """Read in place of an installation's `.env`."""
    files: tuple[Path, ...] = (FILE,)

    def command(self) -> list[str]:
        """Of Compose, up to what it is to do."""
        files = [part for file in self.files for part in ("-f", str(file))]
        return [*compose_command(), "--env-file", str(self.empty), "-p", self.name, *files]

    def compose(self, *arguments: str) -> str:
        """What it prints. Raises CalledProcessError."""
        environment = {**os.environ, **self.variables}
        command = [*self.command(), *arguments]
        return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout

    def services(self) -> list[str]:
        """Of which there is a container."""
        label = '{{.Label "com.docker.compose.service"}}'
        ours = f"label=com.docker.compose.project={self.name}"
        return docker("container", "ls", "--all", "--filter", ours, "--format", label).split()

    def published(self, service: str) -> list[str]:
        """Addresses of this machine at which a port of the container can be reached."""
        ports = self.container(service)["NetworkSettings"]["Ports"]
        return [f"{each['HostIp']}:{each['HostPort']}" for bound in ports.values() for each in bound or ()]

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of it."""
        (identity,) = self._ids("container", f"label=com.docker.compose.service={service}")
        return json.loads(docker("inspect", identity))[0]

    def is_well(self, service: str) -> bool:
        """As its health check says."""
        return self.container(service)["State"].get("Health", {}).get("Status") == "healthy"

    def run_in(self, service: str, *command: str) -> str:
        """What the command prints in its container. Raises CalledProcessError."""
        return docker("exec", self.container(service)["Id"], *command)

    def kill(self, service: str) -> None:
        """As the out-of-memory killer would; the engine starts it again, which after `docker kill` it would not."""
        until(f"{service} runs", 60, lambda: self.container(service)["State"]["Pid"] > 0)
        container = self.container(service)
        assert container["State"]["Pid"] > 0, "0 would be our own process group"
        try:
            os.kill(container["State"]["Pid"], signal.SIGKILL)
        except (PermissionError, ProcessLookupError):  # not root, or the engine is in a machine of its own
            docker("kill", container["Id"])
            docker("start", container["Id"])

    def left(self) -> list[str]:
        """Containers, volumes and networks that are still there."""
        return [each for kind in ("container", "volume", "network") for each in self._ids(kind)]

    def _ids(self, kind: str, *filters: str) -> list[str]:
        of_ours = (f"label=com.docker.compose.project={self.name}", *filters)
        every = ["--all"] if kind == "container" else []
        options = [part for each in of_ours for part in ("--filter", each)]
        return docker(kind, "ls", "--quiet", *every, *options).split()


def until(what: str, seconds: float, holds: Callable[[], bool]) -> None:
    """Raises AssertionError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.5)


def say(text: str) -> None:
    """At once, to whoever follows a run of minutes."""
    print(text, flush=True)
