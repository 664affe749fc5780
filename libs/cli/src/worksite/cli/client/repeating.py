"""Asking once more while the gateway is being started again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import httpx
import httpx2

PAUSES_SECONDS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""As the transports have them, which repeat what was not even connected: a proxy before a gateway that does not
listen yet takes a connection, and cuts it off."""
_CUT_OFF = (httpx.ReadError, httpx.RemoteProtocolError, httpx2.ReadError, httpx2.RemoteProtocolError)

T = TypeVar("T")


async def repeated(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask again when the gateway goes away while it answers.

    For what may be asked twice only (RFC 9110 section 9.2.2). Raises the last attempt's error of the transport.
    """
    for seconds in PAUSES_SECONDS:
        with contextlib.suppress(*_CUT_OFF):
            return await ask()
        await asyncio.sleep(seconds)
    return await ask()


def transport() -> httpx.AsyncHTTPTransport:
    """What never reached a gateway, because it is being started again, is sent again: after 0, 0.5, 1, 2 and 4 s."""
    return httpx.AsyncHTTPTransport(retries=len(PAUSES_SECONDS), trust_env=False)


def token_transport() -> httpx2.AsyncHTTPTransport:
    """The same for Authlib, which speaks by httpx2 and takes no transport of httpx."""
    return httpx2.AsyncHTTPTransport(retries=len(PAUSES_SECONDS), trust_env=False)
