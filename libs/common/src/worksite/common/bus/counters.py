"""Counters that many can add to without asking one another: one message each of a counter stream (ADR-49 of NATS)."""

from __future__ import annotations

import json

from worksite.common.bus.connection import Bus
from worksite.common.errors import BusUnavailable

_INCREMENT = "Nats-Incr"


async def add(bus: Bus, subject: str, units: int) -> int:
    """Add to the counter on a subject; returns its new total. 0 only reads it.

    Not safe to repeat: after an error the units may be counted or not. Raises BusUnavailable, PermissionDenied.
    """
    reply = await bus.request_raw(subject, b"", {_INCREMENT: str(units)})
    answer = json.loads(reply.data)
    if error := answer.get("error"):
        raise BusUnavailable(f"{subject}: {error.get('description')}")
    return int(answer["val"])
