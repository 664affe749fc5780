"""A stack started the way a person does, with its processes in reach of signals."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from worksite.cli.client.access import Access, ClientSettings
from worksite.cli.stack.state import State

ROOT = Path(__file__).parents[2]
READY_SECONDS = 150
_WORKSITE = [sys.executable, "-m", "worksite.cli.main"]
LIMITS = dict.fromkeys(("RATE_PER_PRINCIPAL", "BURST_PER_PRINCIPAL", "RATE_PER_TENANT", "BURST_PER_TENANT"), "5000")
"""Clients that reconnect again and again are not what is measured."""
LITTLE_TO_INDEX = {"KNOWLEDGE_DIRS": str(Path(__file__).parent)}
"""So that a stack starts soon, and an engine that was killed too."""


@dataclass(frozen=True)
class Stack:
    """`worksite up`, running."""

    state: Path
    process: subprocess.Popen[bytes]

    def address(self, name: str) -> str:
        """One of stack.json's: gateway_url, monitor_url."""
        return json.loads((self.state / "stack.json").read_text())[name]

    async def token(self) -> str:
        """Raises NoAccess, TooMany."""
        return await Access(self.address("gateway_url"), State(self.state), ClientSettings()).token()

    def pid(self, program: str) -> int | None:
        """Of a service or of nats; None while it is down."""
        mark = b"nats-server" if program == "nats" else f"worksite.{program}.main".encode()
        with contextlib.suppress(FileNotFoundError):
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
            for child in children:
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if mark in Path(f"/proc/{child}/cmdline").read_bytes():
                        return int(child)
        return None

    def unfinished(self) -> list[str]:
        """What consumers still have before them, as nats-server tells. Raises httpx.HTTPError while it is down."""
        answer = httpx.get(self.address("monitor_url") + "/jsz?consumers=true", timeout=5, trust_env=False).json()
        streams: list[dict[str, Any]] = answer["account_details"][0]["stream_detail"]
        return [
            f"{stream['name']}: {consumer['num_pending']} pending, {consumer['num_ack_pending']} not acked"
            for stream in streams
            for consumer in stream.get("consumer_detail", ())
            if consumer["num_pending"] or consumer["num_ack_pending"]
        ]


@contextlib.contextmanager
def running_stack(bus_disk: Path | None = None) -> Iterator[Stack]:
    """On free ports and a state directory of its own, with the bus's files elsewhere where so told; stopped at the
    end."""
    with tempfile.TemporaryDirectory(prefix="worksite-faults-") as directory:
        state = Path(directory, "state")
        state.mkdir()
        (state / "wheelhouse").symlink_to(ROOT / ".worksite" / "wheelhouse")
        if bus_disk:
            (state / "nats").symlink_to(bus_disk)
        command = [*_WORKSITE, "up", "--state", str(state), "--port", "0", "--admin-port", "0"]
        with Path(directory, "up.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=os.environ | LIMITS | LITTLE_TO_INDEX, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                _wait_until_ready(process, state, Path(directory, "up.log"))
                yield Stack(state, process)
            finally:
                process.terminate()  # not Ctrl-C, which whatever is started in the background of a script ignores
                process.wait(60)


def _wait_until_ready(process: subprocess.Popen[bytes], state: Path, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not (state / "stack.json").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(log.read_text()[-3000:])
        time.sleep(0.05)
