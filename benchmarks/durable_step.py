"""What does one durable step cost? Our worker against a raw nats-py loop that makes the same durable writes.

    python benchmarks/durable_step.py [--steps N]

Both run against the same nats-server in one process, one step in flight, alternating in blocks, once with
`sync_interval: always` and once with the server's default. A step is: a command published and acknowledged by WORK,
pulled, claimed and recorded in a key-value bucket, its result published expecting an empty subject, acknowledged.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, provision
from worksite.common.ids import new_id
from worksite.common.messages import ImportProject, NewProject, StepResult
from worksite.common.testing import examples, start_nats
from worksite.common.worker import Reply, StepContext, Worker

BLOCKS = 10
TENANT = "bench"


def command(number: int, task: str) -> ImportProject:
    return ImportProject(
        task=task, tenant=TENANT, step=f"{number}-import", round=0, deadline=datetime.now(UTC), source=NewProject()
    )


async def waited_for(bus: Bus, subject: str, start: Callable[[], Awaitable[None]]) -> float:
    """Seconds from `start` to the result's arrival at a subscriber."""
    arrived = asyncio.Event()

    async def note(_: object) -> None:
        arrived.set()

    subscription = await bus.client.subscribe(subject, cb=note)
    await bus.subscribed()
    began = time.perf_counter()
    await start()
    await arrived.wait()
    took = time.perf_counter() - began
    await subscription.unsubscribe()
    return took


async def our_step(bus: Bus, number: int, task: str) -> float:
    """Through common/worker.py: the worker runs beside us."""
    body = command(number, task)
    subject = subjects.event_subject(TENANT, task, "builder", body.step, "result")

    async def start() -> None:
        envelope = Envelope(body.ce_type(), "admin", TENANT, task)
        await bus.publish(subjects.work_subject("builder", TENANT), body, envelope)

    return await waited_for(bus, subject, start)


async def raw_worker(bus: Bus, stop: asyncio.Event) -> None:
    """The same durable writes in the fewest lines of nats-py; on the architect's consumer, to stay out of the way."""
    js = bus.jetstream
    subscription = await js.pull_subscribe_bind("architect", "WORK")
    while not stop.is_set():
        try:
            message = (await subscription.fetch(1, timeout=0.5))[0]
        except TimeoutError:
            continue
        body = ImportProject.consume(message.data)
        key = f"$KV.ledger.architect.{body.task}.{body.step}"
        last = "Nats-Expected-Last-Subject-Sequence"
        claimed = await js.publish(key, b"claimed", headers={last: "0"})
        result = examples.step_result(examples.imported_project(), step=body.step, agent="builder").to_json()
        await js.publish(key, result, headers={last: str(claimed.seq)})
        subject = subjects.event_subject(TENANT, body.task, "architect", body.step, "result")
        await js.publish(subject, result, headers={last: "0"})
        await message.ack_sync()
    await subscription.unsubscribe()


async def raw_step(bus: Bus, number: int, task: str) -> float:
    body = command(number, task)
    subject = subjects.event_subject(TENANT, task, "architect", body.step, "result")

    async def start() -> None:
        await bus.jetstream.publish(subjects.work_subject("architect", TENANT), body.to_json())

    return await waited_for(bus, subject, start)


async def do_nothing(_: ImportProject, __: StepContext) -> Reply:
    return Reply(examples.imported_project())


async def measure(url: str, steps: int) -> tuple[list[float], list[float]]:
    """Seconds per step: ours, raw."""
    bus = await Bus.connect(BusSettings(url, "bench"))
    await provision(bus, 1 << 30)
    stop, task = asyncio.Event(), new_id()
    workers = [
        asyncio.create_task(Worker(bus, "builder", {ImportProject: do_nothing}, concurrency=1).run(stop)),
        asyncio.create_task(raw_worker(bus, stop)),
    ]
    ours, raw = [], []
    for block in range(BLOCKS):
        numbers = range(1 + block * steps // BLOCKS, 1 + (block + 1) * steps // BLOCKS)
        ours += [await our_step(bus, number, task) for number in numbers]
        raw += [await raw_step(bus, number, task) for number in numbers]
    stop.set()
    await asyncio.gather(*workers)
    assert StepResult.consume((await bus.read("EVENTS", subjects.task_events_filter(TENANT, task), 0))[0].data)
    await bus.close()
    return ours, raw


def row(name: str, seconds: list[float]) -> str:
    cuts = statistics.quantiles(seconds, n=100)
    return f"| {name} | {cuts[49] * 1e3:.2f} | {cuts[98] * 1e3:.2f} | {1 / statistics.mean(seconds):.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400, help="999 at most: step numbers have three digits here")
    steps = min(999, parser.parse_args().steps)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{machine}, load {os.getloadavg()[0]:.1f} at the start")
    for setting, config in (("always", 'jetstream: {sync_interval: "always"}\n'), ("the default, 2 minutes", "")):
        with tempfile.TemporaryDirectory() as directory, start_nats(Path(directory), config) as server:
            ours, raw = asyncio.run(measure(server.url, steps))
        print(f"\nsync_interval: {setting}; {steps} steps each, one in flight\n")
        print("| | p50 ms | p99 ms | steps/s |\n|---|---|---|---|")
        print(row("Worker: ledger, envelope, trace, validation", ours))
        print(row("raw nats-py, the same durable writes", raw))
        print(f"\np50 ratio {statistics.median(ours) / statistics.median(raw):.2f}")


if __name__ == "__main__":
    main()
