"""What does one durable step cost? Our worker against the same durable writes by other means, in one run.

    python benchmarks/bus.py [--steps N]

A step is: a command that is acknowledged by a queue, taken from it, claimed and recorded, its result published where it
is expected not to be yet, the command acknowledged; it ends when the client has the result. NATS's clients and workers
share one process; Celery has a client with a thread per step in flight and four worker processes. All alternate in
blocks, first with one step in flight, then with sixteen; once synced to disk at every write, once by the servers'
defaults. FastStream and Celery are optional: `pip install -r benchmarks/requirements.txt`, and a redis-server.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop
from nats.js.api import RetentionPolicy, StreamConfig
from table import machine, milliseconds, print_table
from worksite.common import subjects, telemetry
from worksite.common.bus import Bus, BusSettings, Envelope, provision
from worksite.common.ids import new_id
from worksite.common.messages import ImportProject, NewProject
from worksite.common.testing import examples, start_nats
from worksite.common.worker import Reply, StepContext, Worker

BLOCKS = 4
IN_FLIGHT = 16
TENANT = "bench"
LAST = "Nats-Expected-Last-Subject-Sequence"
FASTSTREAM = "bench.faststream"


@dataclass
class Contender:
    """One way to do a step, and what was measured of it."""

    name: str
    step: Callable[[int], Awaitable[None]]
    seconds: list[float] = field(default_factory=list)
    """Of each step that was alone in flight."""
    rates: list[float] = field(default_factory=list)
    """Steps a second with IN_FLIGHT of them, by block."""
    processor_seconds: list[float] = field(default_factory=list)
    """This process's, a step with IN_FLIGHT of them, by block; without what NATS, Redis and Celery's workers use."""

    async def measure_one_by_one(self, numbers: range) -> None:
        for number in numbers:
            began = time.perf_counter()
            await self.step(number)
            self.seconds.append(time.perf_counter() - began)

    async def measure_together(self, numbers: range) -> None:
        left, began, used = iter(numbers), time.perf_counter(), time.process_time()

        async def take_turns() -> None:
            for number in left:
                await self.step(number)

        await asyncio.gather(*(take_turns() for _ in range(IN_FLIGHT)))
        self.rates.append(len(numbers) / (time.perf_counter() - began))
        self.processor_seconds.append((time.process_time() - used) / len(numbers))


class Results:
    """Hears results as they are published."""

    def __init__(self, bus: Bus, task: str) -> None:
        self._bus = bus
        self._task = task
        self._awaited: dict[str, asyncio.Future[None]] = {}

    async def listen(self) -> None:
        async def heard(message: Any) -> None:
            self._awaited.pop(message.subject).set_result(None)

        await self._bus.client.subscribe(subjects.task_events_filter(TENANT, self._task), cb=heard)
        await self._bus.subscribed()

    def of(self, agent: str, step: str) -> asyncio.Future[None]:
        subject = subjects.event_subject(TENANT, self._task, agent, step, "result")
        return self._awaited.setdefault(subject, asyncio.get_running_loop().create_future())


@dataclass(frozen=True)
class Bench:
    """One NATS, one task whose steps are counted up."""

    bus: Bus
    task: str
    results: Results

    def command(self, number: int) -> ImportProject:
        deadline = datetime.now(UTC) + timedelta(hours=1)
        step = f"{number}-import"
        return ImportProject(
            task=self.task, tenant=TENANT, step=step, round=0, deadline=deadline, source=NewProject(name="bench")
        )

    async def ours(self, number: int) -> None:
        body = self.command(number)
        envelope = Envelope(body.ce_type(), "admin", TENANT, self.task)
        arrived = self.results.of("builder", body.step)
        await self.bus.publish(subjects.work_subject("builder", TENANT), body, envelope)
        await arrived

    async def raw(self, number: int) -> None:
        await self._plain(number, "architect", subjects.work_subject("architect", TENANT))

    async def faststream(self, number: int) -> None:
        await self._plain(number, "validator", FASTSTREAM)

    async def _plain(self, number: int, agent: str, subject: str) -> None:
        body = self.command(number)
        arrived = self.results.of(agent, body.step)
        await self.bus.jetstream.publish(subject, body.to_json())
        await arrived

    async def durable_writes(self, agent: str, body: ImportProject) -> None:
        """What a step writes, in the fewest lines of nats-py."""
        js, key = self.bus.jetstream, f"$KV.ledger.{agent}.{body.task}.{body.step}"
        claimed = await js.publish(key, b"claimed", headers={LAST: "0"})
        result = examples.step_result(examples.imported_project(), step=body.step, agent="builder").to_json()
        await js.publish(key, result, headers={LAST: str(claimed.seq)})
        subject = subjects.event_subject(TENANT, body.task, agent, body.step, "result")
        await js.publish(subject, result, headers={LAST: "0"})

    async def raw_worker(self, stop: asyncio.Event) -> None:
        """One slot, on the architect's consumer to stay out of the way."""
        subscription = await self.bus.jetstream.pull_subscribe_bind("architect", "WORK")
        while not stop.is_set():
            try:
                message = (await subscription.fetch(1, timeout=0.5))[0]
            except TimeoutError:
                continue
            await self.durable_writes("architect", ImportProject.consume(message.data))
            await message.ack_sync()
        await subscription.unsubscribe()


async def do_nothing(_: ImportProject, __: StepContext) -> Reply:
    return Reply(examples.imported_project())


@contextlib.asynccontextmanager
async def on_nats(url: str) -> AsyncGenerator[tuple[Bench, list[Contender]]]:
    """Our worker and the raw loop, running."""
    bus = await Bus.connect(BusSettings(url, "bench"))
    await provision(bus, 1 << 30)
    stop, task = asyncio.Event(), new_id()
    bench = Bench(bus, task, Results(bus, task))
    await bench.results.listen()
    worker = Worker(bus, "builder", {ImportProject: do_nothing}, concurrency=IN_FLIGHT)
    running = [asyncio.create_task(worker.run(stop))]
    running += [asyncio.create_task(bench.raw_worker(stop)) for _ in range(IN_FLIGHT)]
    ours = Contender("Worksite: ledger, envelope, trace, validation", bench.ours)
    try:
        yield bench, [ours, Contender("raw nats-py, the same durable writes", bench.raw)]
    finally:
        stop.set()
        await asyncio.gather(*running)
        await bus.close()


async def faststream(bench: Bench, url: str, stack: contextlib.AsyncExitStack) -> Contender:
    """Raises ImportError where it is not installed."""
    import bus_faststream

    queue = StreamConfig(name="FASTSTREAM", subjects=[FASTSTREAM], retention=RetentionPolicy.WORK_QUEUE)
    await bench.bus.jetstream.add_stream(queue)

    async def write(body: ImportProject) -> None:
        await bench.durable_writes("validator", body)

    await stack.enter_async_context(bus_faststream.contender(url, "FASTSTREAM", FASTSTREAM, write, IN_FLIGHT))
    return Contender("FastStream, the same durable writes", bench.faststream)


async def celery(directory: Path, synced: bool, stack: contextlib.AsyncExitStack) -> Contender:
    """Raises ImportError or FileNotFoundError where Celery or Redis is not installed."""
    import bus_celery

    policy = "always" if synced else "everysec"
    running = await stack.enter_async_context(bus_celery.contender(directory, policy, IN_FLIGHT))
    return Contender(f"Celery and Redis (appendfsync {policy}), effects recorded", running.step)


async def measure(url: str, directory: Path, synced: bool, steps: int) -> list[Contender]:
    async with on_nats(url) as (bench, contenders), contextlib.AsyncExitStack() as stack:
        for optional in (faststream(bench, url, stack), celery(directory / "redis", synced, stack)):
            try:
                contenders.append(await optional)
            except (ImportError, FileNotFoundError) as missing:
                print(f"left out: {missing}")
        await in_turns(contenders, 1, steps, Contender.measure_one_by_one)
        await in_turns(contenders, 1 + steps, steps, Contender.measure_together)
    return contenders


async def in_turns(
    contenders: list[Contender], first: int, steps: int, how: Callable[[Contender, range], Awaitable[None]]
) -> None:
    for block in range(BLOCKS):
        for contender in contenders:
            await how(contender, range(first + block * steps // BLOCKS, first + (block + 1) * steps // BLOCKS))


def report(contenders: list[Contender]) -> None:
    ours, raw = contenders[:2]
    head = ["", "p50 ms", "p99 ms", "p50 to raw", "steps/s, 16 in flight", "Worksite to it", "processor ms"]
    rows = [
        [
            each.name,
            f"{milliseconds(each.seconds, 50):.2f}",
            f"{milliseconds(each.seconds, 99):.2f}",
            f"{statistics.median(each.seconds) / statistics.median(raw.seconds):.2f}",
            f"{statistics.median(each.rates):.0f}",
            f"{statistics.median(ours.rates) / statistics.median(each.rates):.2f}",
            f"{statistics.median(each.processor_seconds) * 1e3:.2f}",
        ]
        for each in contenders
    ]
    print_table(head, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="of each kind, 4999 at most")
    steps = min(4999, parser.parse_args().steps)
    telemetry.setup("bench", "WARNING", None)  # as a service that exports no traces
    for synced, config in ((True, 'jetstream: {sync_interval: "always"}\n'), (False, "")):
        setting = "always" if synced else "the default, 2 minutes"
        print(f"\nbus: sync_interval {setting}; {steps} steps each; {machine()}\n")
        with tempfile.TemporaryDirectory() as name, start_nats(Path(name), config) as server:
            report(uvloop.run(measure(server.url, Path(name), synced, steps)))


if __name__ == "__main__":
    main()
