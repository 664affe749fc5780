"""How far behind a durable consumer is: told as metrics by whoever consumes, so that nobody needs a right for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

from prometheus_client import Gauge
from worksite.common.bus.connection import Bus
from worksite.common.errors import WorksiteError

LOOK_SECONDS = 10.0
_PENDING = Gauge("worksite_consumer_pending", "Messages that wait for a consumer", ["stream", "consumer"])
_IN_HAND = Gauge("worksite_consumer_in_hand", "Messages delivered and not yet acknowledged", ["stream", "consumer"])
_AGAIN = Gauge(
    "worksite_consumer_redelivered", "Of the messages in hand, those delivered more than once", ["stream", "consumer"]
)


async def watch(bus: Bus, stream: str, durable: str, stopping: asyncio.Future[Any]) -> None:
    """Look at the consumer again and again until `stopping` is done."""
    while not stopping.done():
        with contextlib.suppress(WorksiteError):  # the bus is away, which probes tell
            await look(bus, stream, durable)
        await asyncio.wait({stopping}, timeout=LOOK_SECONDS)


async def look(bus: Bus, stream: str, durable: str) -> None:
    """Once. Raises BusUnavailable, PermissionDenied; nothing is told of a consumer that is not there."""
    answer = json.loads((await bus.request_raw(f"$JS.API.CONSUMER.INFO.{stream}.{durable}", b"")).data)
    if "error" not in answer:
        _PENDING.labels(stream, durable).set(answer["num_pending"])
        _IN_HAND.labels(stream, durable).set(answer["num_ack_pending"])
        _AGAIN.labels(stream, durable).set(answer["num_redelivered"])
