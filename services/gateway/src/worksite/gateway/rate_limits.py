"""Rate limits of HTTP requests: who is counted as whom, and what the client is told.

The header fields are those of draft-ietf-httpapi-ratelimit-headers-10, structured fields by RFC 9651: for each limit
its burst `q` and the seconds `w` in which it comes back; what is left of it, `r`, and the seconds `t` until it is
whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from worksite.gateway import problems
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.rates import Limit, Meter, Standing, take

_COSTS = {"search": 5, "submitDocuments": 5, "createUpload": 5}
"""Units an action takes; 1 unless it stands here. A submitted task costs little: the queue's own cap holds it."""
MIN_BURST = max(_COSTS.values())
"""Below it the dearest action could never be done."""
_STATE = "rate_limits"
_NOBODY = "-"
"""The tenant of who is not known."""
_IPV6_NETWORK_BITS = 64


@dataclass(frozen=True)
class Limits:
    """What the settings say."""

    principal: Limit
    tenant: Limit
    address: Limit


class RateLimiter:
    """Counts in this process; what other replicas let through comes in by the meters (`fleet.py`)."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._principals, self._tenants = Meter(limits.principal), Meter(limits.tenant)
        self._addresses = Meter(limits.address)
        self._clock = clock

    @property
    def meters(self) -> tuple[Meter, ...]:
        """What has to be counted together with the other replicas."""
        return (self._principals, self._tenants, self._addresses)

    def admit(self, request: Request, principal: Principal, action: str) -> None:
        """Count a known principal's request. Raises a 429 problem when it or its tenant has had its share."""
        asked = (
            (self._principals, _key(principal.tenant, principal.subject)),
            (self._tenants, _key(principal.tenant)),
        )
        self._charge(request, take(asked, self._clock(), _COSTS.get(action, 1)))

    def admit_stranger(self, request: Request) -> None:
        """Count a request of nobody known, by where it comes from. Raises a 429 problem."""
        self._charge(request, take([(self._addresses, _key(_NOBODY, _network(request)))], self._clock(), 1))

    def _charge(self, request: Request, standings: tuple[Standing, ...]) -> None:
        request.scope.setdefault("state", {})[_STATE] = standings
        if wait := max(standing.wait_seconds for standing in standings):
            names = ", ".join(standing.limit.name for standing in standings if not standing.allowed)
            raise problems.rate_limited(names, ceil(wait))


class RateLimitFields:
    """Tells the client where it stands, on answers of every kind: errors and event streams too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def telling(message: Message) -> None:
            if message["type"] == "http.response.start" and (standings := scope.get("state", {}).get(_STATE)):
                headers = MutableHeaders(scope=message)
                headers["RateLimit-Policy"] = ", ".join(_policy(standing.limit) for standing in standings)
                headers["RateLimit"] = ", ".join(_standing(standing) for standing in standings)
            await send(message)

        await self._app(scope, receive, telling)


def _policy(limit: Limit) -> str:
    return f'"{limit.name}";q={limit.burst};w={ceil(limit.burst_seconds)}'


def _standing(standing: Standing) -> str:
    return f'"{standing.limit.name}";r={standing.remaining};t={ceil(standing.full_seconds)}'


def _key(tenant: str, name: str = "") -> str:
    """A tenant's name has no line break in it, so that no two keys are the same."""
    return f"{tenant}\n{name}"


def _network(request: Request) -> str:
    """The client's address; of an IPv6 address its network, because a single client has all the addresses of one."""
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(int(address) >> (128 - _IPV6_NETWORK_BITS))
    return host  # an IPv4 client, also as a socket for both writes it: all of those lie in one network
