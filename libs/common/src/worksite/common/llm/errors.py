"""What can go wrong with a model call, by what the caller can do about it (the tree: `worksite.common.errors`)."""

from __future__ import annotations

from typing import Literal

from worksite.common.errors import Permanent, Retryable
from worksite.common.llm.usage import Usage

Trouble = Literal["rate_limited", "overloaded", "server_error", "timeout", "connection", "broken_stream", "malformed"]


class ModelUnavailable(Retryable):
    """No usable reply this time. `usage`: what the provider will bill all the same, where it is known.

    `retry_after_seconds` is the provider's wish, as it came: whoever waits must bound it.
    """

    def __init__(
        self,
        trouble: Trouble,
        detail: str,
        *,
        retry_after_seconds: float | None = None,
        response_id: str | None = None,
        usage: Usage | None = None,
    ) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble: Trouble = trouble
        self.reason = detail if trouble == "connection" else f"{trouble.replace('_', ' ')}: {detail}"
        self.retry_after_seconds = retry_after_seconds
        self.response_id = response_id
        self.usage = usage


class ModelRequestRefused(Permanent):
    """The provider will not take this request however often it is sent: malformed, too large, no such model, no
    credentials, no credit."""

    def __init__(self, status: int | None, kind: str, detail: str, request_id: str | None = None) -> None:
        """Without a status it was not even sent."""
        whose = f"the model's provider answers {status} {kind}" if status else f"the request cannot be sent, {kind}"
        super().__init__(f"{whose}: {detail}")
        self.status = status
        self.kind = kind
        self.request_id = request_id

    @property
    def is_about_our_account(self) -> bool:
        """The key is wrong or may not, or the account has spent what it may: another key or some money mends it."""
        return self.status in (401, 402, 403, 429)


class OutputRejected(Permanent):
    """The reply is not what was asked for. It was paid; asking again with `detail` may help."""

    def __init__(self, reason: Literal["refusal", "cut_off", "unusable"], detail: str) -> None:
        super().__init__(detail)
        self.reason: Literal["refusal", "cut_off", "unusable"] = reason
        self.detail = detail


class AgentStuck(Permanent):
    """A model at work does not get on; more calls would only cost more."""


class UnknownPrice(Permanent):
    """Nobody knows what the model costs; it is not called."""


class BudgetExceeded(Permanent):
    """The call could cost more than is left. `scope` says of what: step, task or tenant."""

    def __init__(self, scope: Literal["step", "task", "tenant"], detail: str) -> None:
        super().__init__(detail)
        self.scope: Literal["step", "task", "tenant"] = scope
