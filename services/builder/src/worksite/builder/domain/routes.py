"""Telling git and HTTP clients where to connect, so that no name comes to mean another address after it was checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from worksite.builder.domain.urls import Host


@dataclass(frozen=True)
class Route:
    """A URL for git, and the environment that it takes for it: configuration too, which no list of processes shows."""

    url: str
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    config: tuple[tuple[str, str], ...] = ()

    @property
    def env(self) -> Mapping[str, str]:
        """As git-config(1) has it, under GIT_CONFIG_COUNT."""
        if not self.config:
            return self.variables
        pairs = {"GIT_CONFIG_COUNT": str(len(self.config))}
        for number, (key, value) in enumerate(self.config):
            pairs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        return {**self.variables, **pairs}

    def with_header(self, header: str) -> Route:
        """The same, with a header for this host alone."""
        parts = urlsplit(self.url)
        return replace(self, config=(*self.config, (f"http.{parts.scheme}://{parts.netloc}/.extraHeader", header)))


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
    return Route(url, config=(("http.curloptResolve", pin),))


@dataclass(frozen=True)
class HttpRoute:
    """A URL for httpx, the host that the server is asked for there, and the name that its certificate has to be of."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    extensions: Mapping[str, str] = field(default_factory=dict[str, str])


def pinned_http(url: str, host: Host, addresses: Sequence[str]) -> HttpRoute:
    """The same for a request: the first address, under the host's own name."""
    parts = urlsplit(url)
    there = parts._replace(netloc=f"{_bracketed(addresses[0])}:{host.port}").geturl()
    return HttpRoute(there, {"Host": parts.netloc}, {"sni_hostname": host.name})


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address
