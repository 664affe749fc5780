"""Nothing a hostile program tries reaches anything outside, at any level; without the sandbox the same attempts do."""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from worksite.validator.sandbox import Job, Limits, Sandbox

BREAKOUT = Path(__file__).with_name("breakout.py").read_text()
NAMES = re.findall(r'^@?attempt\("(.+?)"\)', BREAKOUT, re.MULTILINE) + [
    f"raise the limit {limit}" for limit in ("NOFILE", "AS", "NPROC", "FSIZE", "CORE", "CPU", "MEMLOCK")
]

# What any Linux lets an unconfined program of the same user do. If one of these stopped working in the control run, the
# attempt would prove nothing.
POSSIBLE_UNCONFINED = [
    "read a secret",
    "read /etc/passwd",
    "list the directory of a secret",
    "overwrite a secret",
    "append to a secret",
    "truncate a secret",
    "make a file outside",
    "make a directory outside",
    "make a pipe outside",
    "change the mode of a secret",
    "change the times of a secret",
    "change the mode of a readable file",
    "write to a readable tree",
    "write to /tmp",
    "read a secret through a symbolic link",
    "hard-link a secret into the workspace",
    "change a mode through a symbolic link",
    "watch a directory",
    "read the environment of a process of the same user",
    "see where a process of the same user works",
    "see what a process of the same user has open",
    "see other processes",
    "connect by TCP",
    "send by UDP",
    "connect to a unix socket",
    "connect to an abstract socket",
    "send to a unix socket",
    "listen by TCP",
    "send to a unix socket from a socket pair",
    "reconnect a datagram pair",
    "signal a process of the same user",
    "kill a process of the same user",
    "signal a thread of the same user",
    "renice a process of the same user",
    "renice every process of the user",
    "pin a process of the same user",
    "schedule a process of the same user",
    "delay the disk of a process of the same user",
    "limit a process of the same user",
    "make memory outside the address space",
    "share memory by key",
    "remove shared memory of the same user",
    "make a message queue",
    "make a semaphore",
]


@contextmanager
def targets(uid: int) -> Iterator[dict[str, Any]]:
    """Files, sockets and processes that belong to the candidate's own user: only the sandbox can protect them."""
    with ExitStack() as opened:
        outside = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="ws-", dir="/var/tmp")))
        readable = outside / "readable"
        readable.mkdir()
        for path in (outside / "secret", outside / "disposable", readable / "module.py"):
            path.write_text("secret")
            os.chown(path, uid, uid if os.getuid() == 0 else -1)
        for path in (outside, readable):
            os.chown(path, uid, uid if os.getuid() == 0 else -1)
        sockets = {}
        for name, kind, address in (
            ("stream", socket.SOCK_STREAM, str(outside / "stream")),
            ("datagram", socket.SOCK_DGRAM, str(outside / "datagram")),
            ("abstract", socket.SOCK_STREAM, f"\0{secrets.token_hex(8)}"),
        ):
            listener = opened.enter_context(socket.socket(socket.AF_UNIX, kind))
            listener.bind(address)
            if kind == socket.SOCK_STREAM:
                listener.listen(16)
            if not address.startswith("\0"):
                Path(address).chmod(0o777)
            sockets[name] = address.lstrip("\0")
        tcp = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=16))
        name = f"breakout-{secrets.token_hex(8)}"
        temporary, in_memory = Path("/tmp", name), Path("/dev/shm", name)
        for path in (temporary, in_memory):
            opened.callback(path.unlink, missing_ok=True)
        victim, disposable = (opened.enter_context(_process(uid)) for _ in range(2))
        yield {
            "secret": str(outside / "secret"),
            "disposable": str(outside / "disposable"),
            "readable": str(readable / "module.py"),
            "temporary": str(temporary),
            "in_memory": str(in_memory),
            "port": tcp.getsockname()[1],
            "service": os.getpid(),
            "victim": victim,
            "disposable_process": disposable,
            "address": 0,
            "segment": opened.enter_context(_shared_memory(uid)),
            **sockets,
        }


@contextmanager
def _process(uid: int) -> Iterator[int]:
    as_user: dict[str, Any] = {"user": uid, "group": uid, "extra_groups": []} if os.getuid() == 0 else {}
    process = subprocess.Popen(["/bin/sleep", "60"], env={"SERVICE_SECRET": "victim"}, **as_user)
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()


@contextmanager
def _shared_memory(uid: int) -> Iterator[int]:
    """A System V segment that belongs to `uid`."""
    libc = ctypes.CDLL(None)
    segment = libc.shmget(0, 4096, 0o1666)
    descriptor = ctypes.create_string_buffer(256)
    libc.shmctl(segment, 2, descriptor)  # IPC_STAT
    libc.shmctl(segment, 1, _owned_by(descriptor.raw, uid))  # IPC_SET
    yield segment
    libc.shmctl(segment, 0, None)  # IPC_RMID


def _owned_by(descriptor: bytes, uid: int) -> bytes:
    """`struct shmid_ds` begins with `key, uid, gid`."""
    return descriptor[:4] + uid.to_bytes(4, sys.byteorder) + descriptor[8:]


@pytest.fixture(scope="module")
def break_out(open_level: Callable[[Any], Sandbox]) -> Callable[[str], dict[str, str]]:
    """Run every attempt once per level; what became of each."""
    results: dict[str, dict[str, str]] = {}

    async def run(sandbox: Sandbox) -> dict[str, str]:
        with targets(sandbox.isolation.uid) as found:
            async with sandbox.new_workspace() as workspace:
                argv = (str(sandbox.python), "-I", "-S", "-c", BREAKOUT, json.dumps(found))
                job = Job(argv, workspace, readable=(Path(found["readable"]).parent,), limits=Limits(wall_seconds=30))
                outcome = await sandbox.run(job)
        assert outcome.exit_code == 0, outcome
        return json.loads(outcome.result)

    def break_out_(level: str) -> dict[str, str]:
        if level not in results:
            results[level] = asyncio.run(run(open_level(level)))
        return results[level]

    return break_out_


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("level", ["jail", "namespaces"])
def test_no_escape_from_the_sandbox(break_out: Callable[[str], dict[str, str]], level: str, name: str) -> None:
    assert break_out(level)[name] != "escaped"


@pytest.mark.parametrize("name", POSSIBLE_UNCONFINED)
def test_the_same_attempt_succeeds_without_the_sandbox(break_out: Callable[[str], dict[str, str]], name: str) -> None:
    assert break_out("none")[name] == "escaped"


def test_every_attempt_is_reported(break_out: Callable[[str], dict[str, str]]) -> None:
    assert set(break_out("jail")) == set(NAMES)
