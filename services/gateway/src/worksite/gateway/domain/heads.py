"""What no head of a request may say, because one reader could take it for something else than the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal
from urllib.parse import parse_qsl

MAX_HEADERS = 100
MAX_HEAD_BYTES = 16 * 1024
"""A token has at most half of it."""
_ONCE = (b"authorization", b"content-type", b"content-encoding", b"idempotency-key", b"last-event-id", b"origin")
_TOKEN_PARAMETER = "access_token"  # noqa: S105 - the name that RFC 6750 gives it

Fault = Literal["too-large", "ambiguous-length", "repeated", "encoded", "token-in-url"]


def fault_of(headers: Sequence[tuple[bytes, bytes]], query: bytes) -> Fault | None:
    """What is wrong, the most dangerous first; names are in lower case, as ASGI has them.

    Two lengths are how a request is smuggled past a proxy (RFC 9112, section 6.1); a body that is compressed could be
    a bomb, and nothing here unpacks one; a token in a URL ends up in everybody's logs (RFC 6750, section 5.3).
    """
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEAD_BYTES:
        return "too-large"
    told = Counter(name for name, _ in headers)
    if told[b"content-length"] and told[b"transfer-encoding"]:
        return "ambiguous-length"
    if any(told[name] > 1 for name in _ONCE):
        return "repeated"
    if any(name == b"content-encoding" and value.strip().lower() not in {b"", b"identity"} for name, value in headers):
        return "encoded"
    asked = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return "token-in-url" if any(name.lower() == _TOKEN_PARAMETER for name, _ in asked) else None
