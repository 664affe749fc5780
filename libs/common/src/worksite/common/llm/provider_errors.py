"""What the SDK raises, in our words. Where a stream breaks it lets the HTTP client's errors through, and an error told
inside a stream has the status 200: so there the type counts.

Of an error's text only what the provider says is passed on, and never our key: HTTP clients quote headers, and some
servers quote the key that they do not take.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import anthropic
import httpx2
from worksite.common.errors import WorksiteError
from worksite.common.llm.errors import ModelRequestRefused, Trouble
from worksite.common.llm.streaming import StreamedReply

_BY_TYPE: Final[dict[str, Trouble]] = {
    "rate_limit_error": "rate_limited",
    "overloaded_error": "overloaded",
    "api_error": "server_error",
    "timeout_error": "timeout",
}
_BY_STATUS: Final[dict[int, Trouble]] = {408: "timeout", 409: "server_error", 429: "rate_limited", 529: "overloaded"}
_ABOUT_THE_KEY = frozenset({401, 403})
_LAYERS = 10
"""Of errors around the operating system's."""
_SPENT = "spend_limit_reached"
"""How the codes end that say that an account has spent what it may: told as 429, and not over in a minute."""


def translated(error: Exception, reply: StreamedReply, key: str) -> WorksiteError:
    """ModelUnavailable where another try may do, ModelRequestRefused where none will."""
    if isinstance(error, anthropic.APIStatusError):
        return _status(error, reply, key)
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return reply.trouble("timeout", "the server fell silent")
    if isinstance(error, anthropic.APIConnectionError):
        return reply.trouble("connection", _system_says(error) or type(error.__cause__ or error).__name__)
    return reply.trouble("broken_stream" if isinstance(error, httpx2.HTTPError) else "malformed", type(error).__name__)


def _system_says(error: BaseException | None) -> str | None:
    """Why there is no connection, in the operating system's own words, which hold nothing of ours."""
    for _ in range(_LAYERS):
        if error is None:
            break
        if isinstance(error, OSError) and error.errno is not None and error.strerror:
            return error.strerror
        error = error.__cause__ or error.__context__
    return None


def _status(error: anthropic.APIStatusError, reply: StreamedReply, key: str) -> WorksiteError:
    headers, status, said = error.response.headers, error.status_code, _said(error).replace(key, "[key]")
    trouble = _BY_STATUS.get(status)
    if trouble is None and (status < 400 or status >= 500):
        trouble = _BY_TYPE.get(error.type or "", "server_error")
    should_retry = headers.get("x-should-retry")
    if should_retry == "true":
        trouble = trouble or "server_error"
    if trouble and should_retry != "false" and not (error.error_code or "").endswith(_SPENT):
        return reply.trouble(trouble, said, retry_after(headers, datetime.now(UTC)))
    kind = (error.type or "error").replace(key, "[key]")
    return ModelRequestRefused(status, kind, said, headers.get("request-id"))


def _said(error: anthropic.APIStatusError) -> str:
    if error.status_code in _ABOUT_THE_KEY:  # it may be quoted in part
        return "the provider does not take our key for this"
    return (error.api_message or "no reason is given")[:1000]


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the provider asks to wait: `retry-after-ms`, else `retry-after` as seconds or as a date."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        if not (told := headers.get("retry-after")):
            return None
        if told.replace(".", "", 1).isdecimal():
            return float(told)
        return max(0.0, (parsedate_to_datetime(told) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
