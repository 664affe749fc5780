"""What the start-up probe must not be able to reach."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def victims() -> Iterator[dict[str, Any]]:
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
        os.chmod(address, 0o777)  # noqa: S103 - for the probe to be able to fail
    return listener
