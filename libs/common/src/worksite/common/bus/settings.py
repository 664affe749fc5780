"""Where the bus is, and who we are on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import SecretStr
from worksite.common.bus.tls import BusTls
from worksite.common.errors import Permanent


@dataclass(frozen=True)
class BusSettings:
    """Where the bus is and who we are on it. `url`: of a server, or of several of one cluster, with commas between.

    A `password` that can be called is asked for at each connection, so that it may change.
    """

    url: str
    service: str
    user: str | None = None
    password: SecretStr | Callable[[], SecretStr | None] | None = None
    timeout_seconds: float = 5.0
    tls: BusTls = field(default_factory=BusTls)
    """Used where an address begins with `tls://`, and where a server insists on TLS."""

    def current_password(self) -> str:
        """As it is now; empty where there is none."""
        found = self.password() if callable(self.password) else self.password
        return found.get_secret_value() if found else ""

    @property
    def servers(self) -> list[str]:
        """The addresses. Raises Permanent for one that is malformed."""
        urls = [url.strip() for url in self.url.split(",")]
        for url in urls:
            if not url.startswith(("nats://", "tls://", "ws://", "wss://")) or not _valid(url):
                raise Permanent(f"{url!r} is no address of a NATS server, e.g. nats://127.0.0.1:4222")
        return urls


def _valid(url: str) -> bool:
    try:
        return bool(urlsplit(url).hostname) and (urlsplit(url).port or 0) >= 0
    except ValueError:
        return False
