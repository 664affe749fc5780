"""Which addresses may be talked to."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from worksite.common.errors import StepRefused

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that IANA gives out


def refuse_private(addresses: Sequence[str]) -> None:
    """Every address of a host has to be public: which of them gets used is not ours to say. Raises StepRefused.

    The refusal names no address, so that nobody can read our name server through it.
    """
    if not all(is_public(address) for address in addresses):
        raise StepRefused("url_refused", "the repository's host is not on the public internet (ALLOW_PRIVATE_HOSTS)")


def is_public(address: str) -> bool:
    """Is it a unicast address of the public internet? What leads to an IPv4 address is judged by that one."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address):
        inner = _inner(ip)
        return is_public(str(inner)) if inner else ip.is_global and ip in _GLOBAL_UNICAST
    return ip.is_global and not ip.is_multicast


def _inner(ip: IPv6Address) -> IPv4Address | None:
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour
