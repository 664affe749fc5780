"""Destinations: which URLs a short link may lead to.

A URL is stored and sent byte for byte as it came, so only what every program reads alike is let in:
the characters of RFC 3986, no user name, and a host in its usual notation.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from .problems import DeniedHost, InvalidUrl, OwnUrl

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = rf"{_LABEL}(?:\.{_LABEL})*\.?|\[[0-9A-Fa-f:.]+\]"
_CHARACTERS = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]*")
_SCHEME = r"(?i:https?)://"
_PORT = r":(?P<port>[0-9]{1,5})"
_URL = re.compile(rf"{_SCHEME}(?P<host>{_HOST})(?:{_PORT})?(?:[/?#].*)?")
_USER = re.compile(rf"{_SCHEME}[^/?#]*@")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_MAX_HOST_LENGTH = 253
_MAX_PORT = 65535


def host_of(url: str) -> str:
    """Return the host of a URL in one notation: lower case, no final dot, addresses as usual.

    Raises:
        InvalidUrl: not a URL that may be stored.
    """
    if not re.match(_SCHEME, url):
        raise InvalidUrl("The URL must begin with http:// or https://.")
    if not _CHARACTERS.fullmatch(url):
        raise InvalidUrl("Percent-encode what RFC 3986 does not allow; write hosts in punycode.")
    if _USER.match(url):
        raise InvalidUrl("The URL must not hold a user name or password.")
    parts = _URL.fullmatch(url)
    if parts is None or int(parts["port"] or 0) > _MAX_PORT:
        raise InvalidUrl("The URL has no valid host and port.")
    return normal_host(parts["host"])


def normal_host(host: str) -> str:
    """Return a host in one notation. What looks like a number must be a plain IPv4 address.

    Browsers read 127.1, 0x7f000001 and 2130706433 as 127.0.0.1, which no list of hosts would notice.

    Raises:
        InvalidUrl: not a host.
    """
    name = host.lower().removesuffix(".")
    try:
        if name.startswith("["):
            address = IPv6Address(name[1:-1])
            return str(address.ipv4_mapped or address)
        if _NUMBER.fullmatch(name.rpartition(".")[2]):
            return str(IPv4Address(name))
    except ValueError:
        raise InvalidUrl("The host is not an IP address in its usual notation.") from None
    if len(name) > _MAX_HOST_LENGTH or not re.fullmatch(_HOST, name):
        raise InvalidUrl("The URL has no valid host and port.")
    return name


@dataclass(frozen=True, slots=True)
class Destinations:
    """The rules of this service; hosts are as ``normal_host`` writes them."""

    own_host: str
    denied_hosts: Collection[str]
    max_length: int

    def require(self, url: str) -> None:
        """Refuse a URL that no short link may lead to.

        Raises:
            InvalidUrl: not a URL that may be stored, or too long.
            OwnUrl: it leads to this service, so a link could lead to itself.
            DeniedHost: the deny list has its host, or a domain that its host belongs to.
        """
        if len(url) > self.max_length:
            raise InvalidUrl(f"The URL may have at most {self.max_length} characters.")
        host = host_of(url)
        if host == self.own_host:
            raise OwnUrl
        if self.is_denied(host):
            raise DeniedHost

    def is_denied(self, host: str) -> bool:
        """Tell whether the deny list has this host, or a domain that it belongs to."""
        return any(host == each or host.endswith(f".{each}") for each in self.denied_hosts)
