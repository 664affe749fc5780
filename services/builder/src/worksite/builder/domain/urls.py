"""Which repositories may be talked to at all."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from worksite.common.errors import StepRefused

PROTOCOLS = ("https", "http", "git")
_DEFAULT_PORTS = {"https": 443, "http": 80, "git": 9418}
_HOST_AND_PORT = re.compile(r"([A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
"""Nothing that Python, git and curl could read differently: they must all mean the host that was checked."""

_OF_FILES = (
    "file:// may not be used here; whoever runs this system can allow it, by ALLOW_FILE_URLS to clone and by "
    "ALLOW_FILE_PUSHES to push"
)


@dataclass(frozen=True)
class Host:
    """Whom a URL talks to; an IPv6 address stands without brackets."""

    name: str
    port: int


def protocols(allow_file: bool) -> str:
    """The same list as git takes it in GIT_ALLOW_PROTOCOL."""
    return ":".join((*PROTOCOLS, "file") if allow_file else PROTOCOLS)


def check_url(url: str, allow_file: bool) -> Host | None:
    """The host to talk to; None for a file. Raises StepRefused, never repeating a credential."""
    allowed = protocols(allow_file).split(":")
    try:
        parts = urlsplit(url)
        port = parts.port  # raises where it is not a number
    except ValueError:
        raise StepRefused("url_refused", "the repository's URL cannot be parsed") from None
    if parts.username is not None or parts.password is not None:
        raise StepRefused("url_refused", "the repository's URL holds credentials: they never belong in a request")
    if parts.scheme not in allowed:
        known = ", ".join(allowed)
        said = _OF_FILES if parts.scheme == "file" else f"{parts.scheme}:// is not among what may be used here: {known}"
        raise StepRefused("url_refused", said)
    return None if parts.scheme == "file" else _host(parts, port)


def place_of(url: str) -> tuple[str, ...] | None:
    """Scheme, host, port and the parts of the path, to compare; None where somebody could read another place in it.

    Programs resolve dots and percent signs, each in its own way.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    path = [part for part in parts.path.split("/") if part]
    if "%" in parts.path or {".", ".."} & {*path} or parts.query or parts.fragment:
        return None
    if parts.hostname is None or not _HOST_AND_PORT.fullmatch(parts.netloc):
        return None
    return (parts.scheme, parts.hostname, str(port), *path)


def below(place: tuple[str, ...], url: str) -> tuple[str, ...] | None:
    """The parts of the path of a URL that follow a place; None where it does not lie there.

    Compared part by part: /team is not above /team-b.
    """
    other = place_of(url)
    return other[len(place) :] if other is not None and other[: len(place)] == place else None


def _host(parts: SplitResult, port: int | None) -> Host:
    if parts.query or parts.fragment:  # a favourite place for tokens, and no part of a repository's address
        raise StepRefused(
            "url_refused", "the repository's URL holds a query or a fragment: leave out what follows ? or #"
        )
    if parts.hostname is None or not _HOST_AND_PORT.fullmatch(parts.netloc):
        raise StepRefused("url_refused", "the repository's URL names no host (international names: in their xn-- form)")
    return Host(parts.hostname, port or _DEFAULT_PORTS[parts.scheme])
