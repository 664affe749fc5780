"""How full a stream is, and how old."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from prometheus_client import Gauge
from worksite.common.bus.connection import Bus
from worksite.common.errors import BusUnavailable

_BYTES = Gauge("worksite_stream_bytes", "Bytes that a stream holds", ["stream"])
_RATIO = Gauge("worksite_stream_fill_ratio", "Bytes that a stream holds, of those that it may", ["stream"])


@dataclass(frozen=True)
class Usage:
    """`max_bytes` is always set: provisioning gives every stream a cap."""

    bytes: int
    max_bytes: int

    @property
    def ratio(self) -> float:
        """From 0 to 1."""
        return self.bytes / self.max_bytes


async def usage(bus: Bus, stream: str) -> Usage:
    """As the stream's leader knows it; also told as a metric, so for who asks again and again. Raises BusUnavailable,
    PermissionDenied."""
    answer = await _info(bus, stream)
    found = Usage(answer["state"]["bytes"], answer["config"]["max_bytes"])
    _BYTES.labels(stream).set(found.bytes)
    _RATIO.labels(stream).set(found.ratio)
    return found


async def created(bus: Bus, stream: str) -> str:
    """When: tells a stream from one made anew. Raises BusUnavailable, PermissionDenied."""
    return (await _info(bus, stream))["created"]


async def _info(bus: Bus, stream: str) -> dict[str, Any]:
    answer = json.loads((await bus.request_raw(f"$JS.API.STREAM.INFO.{stream}", b"")).data)
    if error := answer.get("error"):
        raise BusUnavailable(f"nothing is known of {stream}: {error.get('description')}")
    return answer
