"""What a stream keeps, as the server tells it, and what of that no service has published (ADR 0009)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats.aio.msg import Msg
from worksite.common import subjects
from worksite.common.bus.envelope import SEQUENCE, SOURCE
from worksite.common.errors import BusUnavailable

RELAYED = "ws-relayed"
"""Our client's mark on an answer with the headers of two direct gets: one is the answer to us, one was stored."""


@dataclass(frozen=True)
class Stored:
    """One message as a stream keeps it."""

    subject: str
    sequence: int
    time: datetime
    data: bytes
    headers: dict[str, str]

    @property
    def foreign(self) -> str | None:
        """Why this is no record, if it is none: the server put it there, for somebody who named the subject as the
        reply of a request. Nobody checks that."""
        if RELAYED in self.headers or SEQUENCE in self.headers:
            return "it was relayed by the server, not published by a service"
        if self.subject.startswith(f"{subjects.EVENT}.") and SOURCE not in self.headers:
            return "it has no envelope"
        return None


@dataclass(frozen=True)
class Tip:
    """The end of a subject."""

    sequence: int
    """Of the last message, whoever put it there, 0 without one: what an append has to expect."""
    record: Stored | None
    """The last message that is a record."""


def ends(reply: Msg, stream: str) -> bool:
    """Is this the word that there is nothing, or nothing more? Raises BusUnavailable for any other status."""
    headers: Mapping[str, str] = reply.headers or {}
    if SEQUENCE in headers:
        return False
    if (status := headers.get("Status")) in {"204", "404"}:  # end of batch, no such message
        return True
    raise BusUnavailable(f"{stream} cannot be read: {status} {headers.get('Description', '')}".rstrip())


def stored(reply: Msg) -> Stored:
    """From the answer to a direct get."""
    headers = dict(reply.headers or {})
    return Stored(
        subject=headers.pop("Nats-Subject"),
        sequence=int(headers.pop(SEQUENCE)),
        time=_timestamp(headers.pop("Nats-Time-Stamp")),
        data=reply.data,
        headers=headers,
    )


def unpacked(message: dict[str, Any]) -> Stored:
    """As the API of streams tells it: in JSON, its headers as they were sent."""
    return Stored(
        subject=message["subject"],
        sequence=message["seq"],
        time=_timestamp(message["time"]),
        data=base64.b64decode(message.get("data", "")),
        headers=_headers(base64.b64decode(message.get("hdrs", ""))),
    )


def _headers(block: bytes) -> dict[str, str]:
    """A line that names the protocol, then one for each."""
    lines = (line.partition(":") for line in block.decode(errors="replace").split("\r\n")[1:])
    return {name: value.strip() for name, colon, value in lines if colon}


def _timestamp(text: str) -> datetime:
    """RFC 3339 with nanoseconds, which datetime cannot hold, cut to microseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text).replace("Z", "+00:00"))
