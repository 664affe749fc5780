"""Telling git where to connect, so that a name cannot come to mean another address after it was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from worksite.builder.domain.urls import Host


@dataclass(frozen=True)
class Route:
    """A URL for git, and the environment that it takes for it."""

    url: str
    env: Mapping[str, str] = field(default_factory=dict[str, str])


def pinned(url: str, host: Host, addresses: Sequence[str]) -> Route:
    """Only these addresses, under the host's own name: certificates and virtual hosts are those of the URL.

    A proxy that git is told to use looks the name up by itself and has to refuse private addresses itself.
    """
    parts = urlsplit(url)
    if parts.scheme == "git":
        there = parts._replace(netloc=f"{_bracketed(addresses[0])}:{host.port}").geturl()
        return Route(there, {"GIT_OVERRIDE_VIRTUAL_HOST": parts.netloc})
    if ":" in host.name:  # an address already; curl has no way to write it here, and looks nothing up
        return Route(url)
    pin = f"{host.name}:{host.port}:{','.join(map(_bracketed, addresses))}"
    return Route(url, {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.curloptResolve", "GIT_CONFIG_VALUE_0": pin})


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
