"""HTTP/1.1 as uvicorn speaks it by h11, held in time and number.

uvicorn bounds neither how long a request's head may take nor how many connections there are, so that whoever opens
many and says nothing on them (slowloris) would use up the process's file descriptors. Here a head has to arrive within
some seconds of its first byte or of the connection, what is left of a refused body too, an answer has to be read, and
when there are too many connections the one that has idled longest gives way to the newcomer. Between two requests a
connection may idle as long as uvicorn keeps it.
"""

from __future__ import annotations

import asyncio
import json
import resource
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from worksite.common import telemetry

_MOST_CONNECTIONS = 10_000
_RETRY_SECONDS = 1
_ANSWERABLE = (h11.IDLE, h11.SEND_RESPONSE)


def _connections_to_have() -> int:
    """A quarter of the files that the process may have open is left for everything else."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if soft == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, soft * 3 // 4)


@dataclass(frozen=True)
class Bounds:
    """What a client may take: connections of the whole server, seconds for a request's head or without reading any of
    an answer, seconds for the rest of a body that was refused."""

    connections: int = field(default_factory=_connections_to_have)
    head_seconds: float = 15.0
    rest_seconds: float = 120.0


class BoundedProtocol(H11Protocol):
    """One connection."""

    def __init__(self, bounds: Bounds, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False  # it repeats whole URLs, and what clients put into them by mistake
        self._bounds = bounds
        self._deadline: asyncio.TimerHandle | None = None
        self.idle_since = 0.0
        self._unread, self._may_take = 0, 0.0
        self._gave_way = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._look()
        if len(self.connections) > self._bounds.connections:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def send_400_response(self, msg: str) -> None:
        """What h11 cannot read: a head that is too large or malformed, a length told twice."""
        if self.conn.our_state in _ANSWERABLE:
            detail = "no HTTP/1.1 that can be read: its head is malformed or too large, or its length ambiguous"
            self._refuse(400, "malformed-request", "Malformed request", detail)
        else:  # in the middle of an answer
            self.transport.abort()

    def _look(self) -> None:
        """A deadline runs while there is no request at work. No byte that trickles in moves it but the first of a head
        after an answer."""
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.response_complete:
            self._stop_waiting()
        elif self._deadline is None:
            self.idle_since = self.loop.time()
            self._wait()
        elif self._seconds_to_take() != self._may_take:
            self._stop_waiting()
            self._wait()

    def _wait(self) -> None:
        self._unread, self._may_take = self.transport.get_write_buffer_size(), self._seconds_to_take()
        self._deadline = self.loop.call_later(self._may_take, self._expire)

    def _seconds_to_take(self) -> float:
        """For what is to come from the client now."""
        if self.conn.their_state is h11.SEND_BODY:
            return self._bounds.rest_seconds
        begun = not self.cycle or self.conn.trailing_data[0] or self.transport.get_write_buffer_size()
        return self._bounds.head_seconds if begun else self.timeout_keep_alive

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.get_write_buffer_size() != self._unread:  # a slow reader, but one that reads
            self._wait()
        elif self.conn.our_state is h11.IDLE and self.conn.trailing_data[0] and not self.transport.is_closing():
            detail = f"the request's head did not arrive within {self._bounds.head_seconds:.0f} s"
            self._refuse(408, "too-slow", "Request timeout", detail)
        else:
            self.transport.abort()

    def _make_room(self) -> None:
        others = cast("set[BoundedProtocol]", self.connections)
        if idle := [other for other in others if other.may_give_way(self)]:
            min(idle, key=lambda other: other.idle_since).give_way()
        else:
            detail = "there are too many connections; try again"
            self._refuse(503, "too-many-connections", "Unavailable", detail, {"Retry-After": str(_RETRY_SECONDS)})

    def may_give_way(self, newcomer: BoundedProtocol) -> bool:
        """Has it no request at work and nothing left to be read?"""
        waits = self._deadline is not None and not self.transport.get_write_buffer_size()
        return waits and not self._gave_way and self is not newcomer

    def give_way(self) -> None:
        """End it; the event loop takes it off the list a little later."""
        self._gave_way = True
        self.transport.abort()

    def _refuse(
        self, status: int, slug: str, title: str, detail: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """A problem document (RFC 9457), and the end of the connection."""
        document = {"type": f"urn:worksite:problem:{slug}", "title": title, "status": status, "detail": detail}
        body = json.dumps(document | {"trace_id": telemetry.current_trace_id()}).encode()
        told = {"Content-Type": "application/problem+json", "Content-Length": str(len(body)), "Connection": "close"}
        for event in (
            h11.Response(status_code=status, headers=list((told | dict(headers or {})).items()), reason=title),
            h11.Data(data=body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
