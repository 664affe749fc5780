"""Which repositories may be cloned at all."""

from __future__ import annotations

from urllib.parse import urlsplit

from worksite.common.errors import StepRefused

PROTOCOLS = ("https", "http", "git")


def protocols(allow_file: bool) -> str:
    """The same list as git takes it in GIT_ALLOW_PROTOCOL."""
    return ":".join((*PROTOCOLS, "file") if allow_file else PROTOCOLS)


def check_url(url: str, allow_file: bool) -> None:
    """Raises StepRefused, never repeating a credential."""
    allowed = protocols(allow_file).split(":")
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises where it is not a number
    except ValueError:
        raise StepRefused("url_refused", "the repository's URL cannot be parsed") from None
    if parts.username is not None or parts.password is not None:
        raise StepRefused("url_refused", "the repository's URL holds credentials: they never belong in a request")
    if parts.scheme not in allowed:
        raise StepRefused("url_refused", f"{parts.scheme}:// is not among what may be cloned: {', '.join(allowed)}")
    if parts.scheme == "file":
        return
    if not parts.hostname or parts.hostname.startswith("-"):
        raise StepRefused("url_refused", "the repository's URL names no host")
