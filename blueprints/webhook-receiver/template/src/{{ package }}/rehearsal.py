"""A handler to rehearse failures with: it does what the body of the webhook says, and nothing else.

Set ``WEBHOOK_HANDLER`` to its factory to see retries, dead letters and recovery before you rely on
them; never in production, where it would let senders stop the process. The body is JSON:

    {"fail": 2}     the first two attempts fail
    {"reject": 1}   the first attempt fails for good
    {"wait": 0.5}   take half a second before anything else
    {"crash": 1}    the first attempt kills the process
"""

import asyncio
import hashlib
import json
import os
from collections import Counter
from typing import Any

from .handling import Handler, PermanentFailure, Webhook


class _RehearsedFailure(Exception):
    """The webhook asked for it."""


class _Rehearsal:
    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()

    async def __call__(self, webhook: Webhook) -> str:
        self._calls[webhook.idempotency_key] += 1
        wish = _read(webhook.body)
        await asyncio.sleep(wish.get("wait", 0))
        if webhook.attempt <= wish.get("crash", 0):
            os._exit(1)
        if webhook.attempt <= wish.get("reject", 0):
            raise PermanentFailure(f"rejected at attempt {webhook.attempt}")
        if webhook.attempt <= wish.get("fail", 0):
            raise _RehearsedFailure(f"failed at attempt {webhook.attempt}")
        return json.dumps(
            {
                "idempotency_key": webhook.idempotency_key,
                "attempt": webhook.attempt,
                "calls": self._calls[webhook.idempotency_key],
                "content_type": webhook.content_type,
                "sha256": hashlib.sha256(webhook.body).hexdigest(),
            }
        )


def create_handler() -> Handler:
    """Build the handler. It counts its calls per idempotency key, and reports them in its result."""
    return _Rehearsal()


def _read(body: bytes) -> dict[str, Any]:
    try:
        wish = json.loads(body)
    except ValueError:
        return {}
    return wish if isinstance(wish, dict) else {}
