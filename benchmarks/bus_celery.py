"""Celery's side of `bus.py`: a task that claims and records its effect in Redis as a step does in the ledger."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import celery
import redis
from worksite.common.ids import new_id
from worksite.common.processes import free_port
from worksite.common.testing import examples

PROCESSES = 4
URL = os.environ.get("BENCH_REDIS_URL", "")
RESULT = examples.imported_project().model_dump_json()

app = celery.Celery("bench", broker=URL, backend=URL)
app.conf.update(task_acks_late=True, worker_prefetch_multiplier=1, broker_connection_retry_on_startup=True)
effects = redis.Redis.from_url(URL) if URL else None


@app.task(name="step")
def step(key: str) -> str:
    """Claim, record, answer: two durable writes, and Celery's own for the queue, the result and the ack."""
    assert effects is not None
    assert effects.set(key, "claimed", nx=True)
    effects.set(key, RESULT)
    return RESULT


@contextlib.contextmanager
def _servers(directory: Path, appendfsync: str) -> Generator[str]:
    """Redis and Celery's worker; the address of the one. Raises FileNotFoundError where there is no redis-server."""
    server = shutil.which("redis-server")
    if server is None:
        raise FileNotFoundError("redis-server is not installed (Debian: apt-get install redis-server)")
    directory.mkdir()
    url = f"redis://127.0.0.1:{(port := free_port())}/0"
    storing = [server, "--port", str(port), "--dir", str(directory), "--appendonly", "yes", "--save", ""]
    working = [sys.executable, "-m", "celery", "-A", "bus_celery", "worker", "-c", str(PROCESSES), "-l", "ERROR"]
    environment = {**os.environ, "BENCH_REDIS_URL": url}
    with (directory / "log").open("wb") as log:
        processes = [
            subprocess.Popen([*storing, "--appendfsync", appendfsync], stdout=log, stderr=log),
            subprocess.Popen(working, cwd=Path(__file__).parent, env=environment, stdout=log, stderr=log),
        ]
        try:
            yield url
        finally:
            for process in reversed(processes):
                process.terminate()
                process.wait()


@contextlib.asynccontextmanager
async def contender(directory: Path, appendfsync: str, in_flight: int) -> AsyncGenerator[Celery]:
    """Celery, ready. Raises FileNotFoundError where there is no redis-server."""
    with _servers(directory, appendfsync) as url, ThreadPoolExecutor(in_flight) as threads:
        found = Celery(celery.Celery("bench", broker=url, backend=url), threads)
        await found.ready()
        yield found


class Celery:
    """Its client blocks, so each step in flight has a thread."""

    def __init__(self, client: celery.Celery, threads: ThreadPoolExecutor) -> None:
        self._client = client
        self._threads = threads

    async def ready(self) -> None:
        """The worker and Redis take seconds to start."""
        deadline = time.monotonic() + 60
        while True:
            try:
                await self.step(0)
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    async def step(self, _: int) -> None:
        """One task, to its result."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._wait)

    def _wait(self) -> None:
        result = self._client.send_task("step", (f"ledger.{new_id()}",)).get(timeout=60)
        assert result == RESULT
