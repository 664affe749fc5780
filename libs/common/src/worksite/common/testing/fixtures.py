"""Pytest fixtures: `pytest_plugins = ["worksite.common.testing.fixtures"]` in the root conftest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.testing.nats import NatsServer, start_nats

TEST_DISK_BYTES = 1 << 30


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A fresh nats-server."""
    directory = tmp_path / "nats"
    directory.mkdir()
    with start_nats(directory) as server:
        yield server


@pytest_asyncio.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    """A connection to it, with every stream, bucket and consumer provisioned."""
    connection = await Bus.connect(BusSettings(nats_server.url, "test"))
    await provision(connection, TEST_DISK_BYTES)
    yield connection
    await connection.close()
