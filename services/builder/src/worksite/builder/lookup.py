"""Asking the name server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence

from worksite.builder.domain.urls import Host
from worksite.common.errors import StepRefused

Lookup = Callable[[Host], Awaitable[Sequence[str]]]
"""The addresses of a host, best first, at least one."""


async def addresses_of(host: Host) -> list[str]:
    """As the system resolves it. Raises StepRefused for a host that has no address."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host.name, host.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: an empty label, or one of more than 63 characters
        raise StepRefused("repository_unreachable", "the repository's host cannot be looked up") from error
    return [str(address[0]) for *_, address in found]
