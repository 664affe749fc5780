"""Server-sent events (WHATWG HTML, section 9.2): framing, resuming, and when a stream is over."""

from __future__ import annotations

import json
import re
from datetime import datetime

from worksite.common.messages import TERMINAL
from worksite.common.subjects import TASK_LEVEL_STEP

HEARTBEAT = b": heartbeat\n\n"
RETRY_MILLISECONDS = 1000
CLOSING = f"retry: {RETRY_MILLISECONDS}\n\n".encode()
"""Sent before the gateway goes away: come back after this time and resume."""
SIGNED_OUT = b": the token is no longer valid\n\n"
"""Sent before a stream ends because its token has expired or was revoked."""
_STATE = f".admin.{TASK_LEVEL_STEP}.state"
_POSITION = re.compile(r"\d{1,18}", re.ASCII)


def frame(sequence: int, time: datetime, subject: str, body: bytes) -> bytes:
    """One event. `id` is the stream sequence, so a client resumes exactly where it was cut off.

    Raises ValueError for a body that is not JSON.
    """
    producer, step, kind = subject.split(".")[-3:]
    document = {
        "sequence": sequence,
        "time": time.isoformat(),
        "producer": producer,
        "step": step,
        "kind": kind,
        "body": json.loads(body),
    }
    return f"id: {sequence}\nevent: {kind}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n".encode()


def position(text: str) -> int | None:
    """The sequence a client has seen, from `Last-Event-ID` or `?after=`; None when it is not one."""
    return int(text) if _POSITION.fullmatch(text) else None


def ends_task(subject: str, body: bytes) -> bool:
    """Is this the state event after which nothing more will happen? Only admin says so."""
    return subject.endswith(_STATE) and json.loads(body)["status"] in TERMINAL
