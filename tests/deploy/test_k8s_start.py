"""Each service, given what its manifest gives it and no more, starts, is ready, and ends in time.

Without a cluster a pod is played by bubblewrap: the manifest's user, its variables, a read-only root and the writable
volumes that it mounts. Addresses alone differ, and rag keeps its index itself, as no Qdrant server is at hand.
"""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from kustomized import ROOT, app, built, environment, pod, secret_files, workloads
from nats_servers import provisioned, running
from new_secrets_of import made_secrets
from worksite.common.processes import free_port
from worksite.common.subjects import SERVICES

COMBINATION = "dev"
READY_SECONDS = 100
_MOUNT_POINTS = (("/var/lib/worksite", "/mnt"), ("/run/secrets/worksite", "/media"), ("/etc/worksite/models", "/srv"))


@dataclass
class Pod:
    """One service's process."""

    service: str
    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def answer(self, probe: str) -> int:
        """The status that a probe of the manifest gets; 0 while nobody listens."""
        path = app(workloads(built(COMBINATION))[self.service])[f"{probe}Probe"]["httpGet"]["path"]
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", timeout=5, trust_env=False).status_code
        return 0


def container_of(service: str, folder: Path) -> list[str]:
    """bubblewrap's command line for the pod's file system and user."""
    workload = workloads(built(COMBINATION))[service]
    security = pod(workload)["securityContext"]
    user = ["--unshare-user", "--uid", str(security["runAsUser"]), "--gid", str(security["runAsGroup"])]
    files = ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    shown = sorted({str(ROOT), sys.prefix, sys.base_prefix})
    for mount in sorted(app(workload)["volumeMounts"], key=lambda each: each["mountPath"] != "/tmp"):
        volume = folder / mount["name"]
        volume.mkdir()
        if mount["name"] == "secrets":
            write_secrets(workload, volume)
        files += ["--bind", str(volume), _here(mount["mountPath"])]
        if mount["mountPath"] == "/tmp":  # the code under test may lie below it
            files += [part for path in shown if path.startswith("/tmp/") for part in ("--ro-bind", path, path)]
    return ["bwrap", *user, *files, "--chdir", str(ROOT), "--die-with-parent"]


def write_secrets(workload: dict, volume: Path) -> None:
    """As the cluster does, for the group of the pod."""
    for name, reference in secret_files(workload).items():
        if value := made_secrets().get(reference["name"], {}).get(reference["key"]):
            (volume / name).write_text(value)


def _here(path: str) -> str:
    """A mount point that there is on this machine; in a container the runtime makes it."""
    for container, here in _MOUNT_POINTS:
        path = path.replace(container, here)
    return path


def given(service: str, nats_url: str, port: int) -> dict[str, str]:
    """The manifest's variables, as Kubernetes resolves them."""
    manifests = built(COMBINATION)
    workload = workloads(manifests)[service]
    container = app(workload)
    env = environment(manifests, container)
    for each in container["env"]:
        if reference := each.get("valueFrom", {}).get("fieldRef"):
            label = re.fullmatch(r"metadata\.labels\['(.+)'\]", reference["fieldPath"])[1]
            env[each["name"]] = workload["spec"]["template"]["metadata"]["labels"][label]
    listening = {"gateway": "DASHBOARD_PORT", "admin": "ADMIN_PORT"}.get(service, "OPS_PORT")
    env = {name: _here(value) for name, value in env.items() if name != "QDRANT_HOST"}
    return env | {"NATS_URL": nats_url, listening: str(port), "PATH": os.environ["PATH"]}


@contextlib.contextmanager
def started(nats_url: str, folder: Path) -> Iterator[list[Pod]]:
    pods: list[Pod] = []
    try:
        for service in SERVICES:
            (folder / service).mkdir()
            port, log = free_port(), folder / f"{service}.log"
            command = [*container_of(service, folder / service), sys.executable, "-m", f"worksite.{service}.main"]
            with log.open("wb") as output:
                process = subprocess.Popen(command, env=given(service, nats_url, port), stdout=output, stderr=output)
            pods.append(Pod(service, process, port, log))
        yield pods
    finally:
        for each in pods:
            each.process.kill()
            each.process.wait()


def plays_containers() -> bool:
    if not shutil.which("bwrap"):
        return False
    tried = ["bwrap", "--unshare-user", "--uid", "10001", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    return subprocess.run(tried, capture_output=True, check=False).returncode == 0


@pytest.mark.timeout(240)
@pytest.mark.asyncio
async def test_every_service_starts_is_ready_and_ends_within_its_grace_period(tmp_path):
    if not plays_containers():
        pytest.skip("bubblewrap with user namespaces plays the containers, and does not work here")
    (tmp_path / "nats").mkdir()
    with running(COMBINATION, tmp_path / "nats") as (nats,):
        await provisioned(COMBINATION, [nats])
        with started(nats.url, tmp_path) as pods:
            waiting, deadline = list(pods), time.monotonic() + READY_SECONDS
            while waiting:
                waiting = [each for each in waiting if each.answer("readiness") != 200]
                ended = [each.log.read_text()[-3000:] for each in pods if each.process.poll() is not None]
                assert not ended, "\n".join(ended)
                assert time.monotonic() < deadline, "\n".join(each.log.read_text()[-2000:] for each in waiting)
                await asyncio.sleep(0.1)
            assert [each.answer("liveness") for each in pods] == [200] * len(pods)
            for each in pods:
                os.kill(child(each.process.pid), signal.SIGTERM)
            for each in pods:
                grace = pod(workloads(built(COMBINATION))[each.service])["terminationGracePeriodSeconds"]
                assert each.process.wait(grace) == 0, each.log.read_text()[-2000:]


def child(pid: int) -> int:
    """The service itself, below bubblewrap."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
