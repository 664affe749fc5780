"""The start-up probe: let a program try to break out, and see what it reaches."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from worksite.validator.sandbox.job import Job, Limits
from worksite.validator.sandbox.sandbox import Sandbox

_LIMITS = Limits(wall_seconds=10, cpu_seconds=5)


class ProbeFailed(Exception):
    """The probe did not come to its end, so it proves nothing."""


async def probe(sandbox: Sandbox) -> tuple[str, ...]:
    """What a program in `sandbox` could do though it should not; see `canary.py`.

    Raises `ProbeFailed`, or `LauncherError` when nothing can be started at all.
    """
    canary = Path(__file__).with_name("canary.py").read_text()
    with _victims() as victims:
        async with sandbox.new_workspace() as workspace:
            argv = (str(sandbox.python), "-I", "-S", "-c", canary, json.dumps(victims))
            outcome = await sandbox.run(Job(argv, workspace, limits=_LIMITS))
    if outcome.exit_code != 0:
        said = outcome.stderr.decode(errors="replace").strip()[-500:]
        raise ProbeFailed(f"the probe ended with {outcome.exit_code or outcome.signal}, {outcome.stopped}: {said}")
    return tuple(json.loads(outcome.result))


@contextmanager
def _victims() -> Iterator[dict[str, Any]]:
    """A secret file and listeners that every user of this machine may use: only the sandbox stands in between."""
    directory = Path(tempfile.mkdtemp(prefix="worksite-probe-"))  # short: addresses of unix sockets are limited
    with ExitStack() as opened:
        opened.callback(shutil.rmtree, directory)
        directory.chmod(0o755)
        secret = directory / "secret"
        secret.write_text("secret")
        secret.chmod(0o666)
        stream, datagram = directory / "stream", directory / "datagram"
        abstract = f"worksite-{secrets.token_hex(8)}"
        opened.enter_context(_listener(socket.SOCK_STREAM, str(stream)))
        opened.enter_context(_listener(socket.SOCK_STREAM, f"\0{abstract}"))
        opened.enter_context(_listener(socket.SOCK_DGRAM, str(datagram)))
        tcp = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
        yield {
            "secret": str(secret),
            "stream": str(stream),
            "abstract": abstract,
            "datagram": str(datagram),
            "port": tcp.getsockname()[1],
            "service": os.getpid(),
        }


def _listener(kind: int, address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(address)
    if kind == socket.SOCK_STREAM:
        listener.listen()
    if not address.startswith("\0"):
        Path(address).chmod(0o777)
    return listener
