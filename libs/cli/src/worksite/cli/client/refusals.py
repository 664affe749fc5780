"""What the gateway says when it does not do what it was asked: as one line, and with the pause it asks for."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import httpx2

_LONGEST_PAUSE_SECONDS = 60
"""So long in all one call waits where the gateway asks for it."""

T = TypeVar("T")
Say = Callable[[str], None]


class GatewayError(Exception):
    """The gateway's problem document, as one line."""


class NotThere(GatewayError):
    """What the call names does not exist, or not for us."""


class NotTaken(GatewayError):
    """What the call sends is too large or does not fit; another body may well be taken."""


class TooMany(Exception):
    """The gateway asks for a pause (429), on a call or on the way to the token that the call needs."""

    def __init__(self, answer: httpx.Response | httpx2.Response) -> None:
        super().__init__(problem(answer))
        self.seconds = pause(answer)


async def patiently(call: Callable[[], Awaitable[T]], say: Say) -> T:
    """Make the pauses that the gateway asks for, and tell `say`. Raises GatewayError where they take too long."""
    waited = 0
    while True:
        try:
            return await call()
        except TooMany as refusal:
            if waited + refusal.seconds > _LONGEST_PAUSE_SECONDS:
                raise GatewayError(f"{refusal}: try again in {refusal.seconds} s") from None
            say(f"{refusal}: waiting {refusal.seconds} s")
            seconds = refusal.seconds
        await asyncio.sleep(seconds)
        waited += max(seconds, 1)


def pause(answer: httpx.Response | httpx2.Response) -> int:
    """`Retry-After` in seconds (RFC 9110 section 10.2.3); a gateway of ours sends no dates."""
    asked = answer.headers.get("Retry-After", "")
    return int(asked) if re.fullmatch(r"[0-9]{1,9}", asked) else 1


def problem(answer: httpx.Response | httpx2.Response) -> str:
    """`title: detail (field: message; …)`."""
    try:
        document = answer.json()
        parts = [str(document.get("title", answer.status_code)), str(document.get("detail") or "")]
        fields = [f"{e.get('field', e.get('path', ''))}: {e.get('message', '')}" for e in document.get("errors", [])]
    except (ValueError, AttributeError):
        return f"the gateway answered {answer.status_code}"
    return ": ".join(part for part in parts if part) + (f" ({'; '.join(fields)})" if fields else "")
