"""Errors as the API words them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    503: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}


@dataclass
class Refusal(Exception):
    """An answer that is an error."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict[str, str])
    code: str | None = None

    def body(self, request_id: str) -> bytes:
        """As JSON."""
        error: dict[str, object] = {"type": TYPES.get(self.status, "invalid_request_error"), "message": self.message}
        if self.code:
            error["details"] = {"error_code": self.code}
        return json.dumps({"type": "error", "error": error, "request_id": request_id}).encode()


def invalid(message: str) -> Refusal:
    """What is wrong with a request."""
    return Refusal(400, message)
