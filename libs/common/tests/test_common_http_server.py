"""The HTTP server that services run in their own event loop."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from worksite.common.health import Health, ops_server


def accepted_on(port: int) -> Iterator[socket.socket]:
    """Copies of this process's connected sockets whose own end is `port`."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(entry.name))) as copy:
            copy.getpeername()  # refused by what only listens
            if copy.family == socket.AF_INET and copy.getsockname()[1] == port:
                yield copy


@pytest.mark.asyncio
async def test_answers_do_not_wait_for_delayed_acknowledgements() -> None:
    """Without TCP_NODELAY every answer on a warm connection takes 40 ms."""
    async with ops_server(Health(), "127.0.0.1", 0) as port, httpx.AsyncClient(trust_env=False) as client:
        await client.get(f"http://127.0.0.1:{port}/healthz")

        assert [s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for s in accepted_on(port)] == [1]
