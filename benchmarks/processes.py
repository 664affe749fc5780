"""Services as processes of their own, for benchmarks."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from pathlib import Path

import httpx
from joserfc import jwt
from joserfc.jwk import OKPKey
from worksite.common.ids import new_id
from worksite.common.processes import free_port
from worksite.gateway.auth.keys import AllowList

ROOT = Path(__file__).parents[1]
START_SECONDS = 60.0
TENANT = "bench"
ALL_YOU_WANT = "1000000"


@contextlib.contextmanager
def service(module: str, directory: Path, environment: Mapping[str, str]) -> Generator[None]:
    """A Python module as a process; stopped in order at the end."""
    with (directory / f"{module}.log").open("wb") as log:
        command = [sys.executable, "-m", module]
        process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


@contextlib.contextmanager
def gateway(nats_url: str, directory: Path) -> Generator[tuple[int, str]]:
    """A gateway whose limits are out of reach: its port, and a developer's token."""
    key, port = OKPKey.generate_key("Ed25519", {"kid": "own"}), free_port()
    limits = [f"{what}_PER_{whom}" for what in ("RATE", "BURST") for whom in ("PRINCIPAL", "TENANT", "ADDRESS")]
    environment = dict.fromkeys(limits, ALL_YOU_WANT) | {
        "NATS_URL": nats_url,
        "DASHBOARD_PORT": str(port),
        "STATE_DIR": str(directory / "gateway"),
        "ISSUER_KEY": json.dumps(key.as_dict(private=True)),
        "LOG_LEVEL": "WARNING",
    }
    with service("worksite.gateway.main", directory, environment):
        wait_until_ready(f"http://127.0.0.1:{port}/readyz", directory)
        yield port, _token(key)


def processor_seconds() -> dict[str, float]:
    """What this process and its children have used so far, by name. Linux only."""
    used = {"client": time.process_time()}
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        name = words[2] if words[1] == "-m" else Path(words[0]).name
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        used[name] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def wait_until_ready(url: str, directory: Path) -> None:
    """Raises RuntimeError with what the services in that directory wrote, when it takes more than a minute."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            httpx.get(url, timeout=2, trust_env=False).raise_for_status()
            return
        time.sleep(0.05)
    written = "\n".join(log.read_text()[-2000:] for log in directory.glob("*.log"))
    raise RuntimeError(f"{url} did not answer:\n{written}")


def _token(key: OKPKey) -> str:
    now = int(time.time())
    claims = {"iss": "worksite", "aud": "worksite", "sub": "bench", "jti": new_id(), "iat": now, "exp": now + 3600}
    header = {"alg": "EdDSA", "kid": "own"}
    return jwt.encode(header, claims | {"tenant": TENANT, "roles": ["developer"]}, key, registry=AllowList(["EdDSA"]))
