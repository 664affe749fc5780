"""What the SDK raises, in our words. Where a stream breaks it lets the HTTP client's errors through, and an error told
inside a stream has the status 200: so there the type counts."""

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
_SPENT = "spend_limit_reached"
"""How the codes end that say that an account has spent what it may: told as 429, and not over in a minute."""


def translated(error: Exception, reply: StreamedReply) -> WorksiteError:
    """ModelUnavailable where another try may do, ModelRequestRefused where none will."""
    if isinstance(error, anthropic.APIStatusError):
        return _status(error, reply)
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException):
        return reply.trouble("timeout", "the server fell silent")
    if isinstance(error, anthropic.APIConnectionError):
        return reply.trouble("connection", f"{error.__cause__ or error}")
    if isinstance(error, httpx2.HTTPError):
        return reply.trouble("broken_stream", f"{type(error).__name__}: {error}")
    return reply.trouble("malformed", f"{type(error).__name__}: {error}")


def _status(error: anthropic.APIStatusError, reply: StreamedReply) -> WorksiteError:
    headers = error.response.headers
    status = error.status_code
    trouble = _BY_STATUS.get(status)
    if trouble is None and (status < 400 or status >= 500):
        trouble = _BY_TYPE.get(error.type or "", "server_error")
    should_retry = headers.get("x-should-retry")
    if should_retry == "true":
        trouble = trouble or "server_error"
    if trouble and should_retry != "false" and not (error.error_code or "").endswith(_SPENT):
        return reply.trouble(trouble, _said(error), retry_after(headers, datetime.now(UTC)))
    return ModelRequestRefused(status, error.type or "error", _said(error), headers.get("request-id"))


def _said(error: anthropic.APIStatusError) -> str:
    return (error.api_message or str(error))[:1000]


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
