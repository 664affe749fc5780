"""FastStream's side of `bus.py`: the same durable writes in its handler, on a stream of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from worksite.common.messages import ImportProject


@contextlib.asynccontextmanager
async def contender(url: str, stream: str, subject: str, durable_writes, in_flight: int) -> AsyncGenerator[None]:
    """A broker that consumes the subject. `durable_writes(command)` does what a step must before it is acknowledged."""
    broker = NatsBroker(url, logger=None)
    pulling = PullSub(batch_size=1, timeout=0.5)

    @broker.subscriber(
        subject,
        stream=JStream(stream, declare=False),
        durable="faststream",
        pull_sub=pulling,
        max_workers=in_flight,
        ack_policy=AckPolicy.MANUAL,
    )
    async def step(command: ImportProject, message: NatsMessage) -> None:
        await durable_writes(command)
        await message.raw_message.ack_sync()

    async with broker:
        await broker.start()
        yield
