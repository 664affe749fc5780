"""Try to break out, as the start-up probe: `python -I -S canary.py TARGETS`, TARGETS being one JSON object.

A program of its own, run in the sandbox like a candidate. It writes the names of the attempts that succeeded, as a JSON
list, to its result pipe.
"""

# ruff: noqa: PTH101, PTH123 - the attempts are system calls

from __future__ import annotations

import json
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any


def main() -> None:
    targets = json.loads(sys.argv[1])
    escapes = [name for name, attempt in ATTEMPTS.items() if succeeds(attempt, targets)]
    os.write(int(os.environ["WORKSITE_RESULT_FD"]), json.dumps(escapes).encode())


def succeeds(attempt: Callable[[dict[str, Any]], object], targets: dict[str, Any]) -> bool:
    try:
        attempt(targets)
    except OSError:
        return False
    return True


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def unix(kind: int, address: str) -> None:
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(address)


def pair_to(address: str) -> None:
    """Point one end of a connected pair at somebody else's socket."""
    with socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0] as client:
        client.sendto(b"x", address)


def tcp(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        pass


ATTEMPTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "run as root": lambda _: os.seteuid(0) if os.getuid() else None,
    "read a secret": lambda t: read(t["secret"]),
    "write outside": lambda t: os.close(os.open(t["secret"], os.O_WRONLY)),
    "truncate outside": lambda t: os.truncate(t["secret"], 0),
    "change a mode outside": lambda t: os.chmod(t["secret"], 0o600),
    "connect by TCP": lambda t: tcp(t["port"]),
    "connect to a unix socket": lambda t: unix(socket.SOCK_STREAM, t["stream"]),
    "connect to an abstract socket": lambda t: unix(socket.SOCK_STREAM, "\0" + t["abstract"]),
    "send to a unix socket": lambda t: pair_to(t["datagram"]),
    "signal the service": lambda t: os.kill(t["service"], 0),
    "change limits of the service": lambda t: resource.prlimit(t["service"], resource.RLIMIT_CORE),
    "read the environment of the service": lambda t: read(f"/proc/{t['service']}/environ"),
    "read the environment of process 1": lambda _: read("/proc/1/environ"),
}

if __name__ == "__main__":
    main()
