"""What a handler is: the contract between this service and its owner's code."""

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Webhook:
    """A verified delivery, as the handler receives it.

    ``idempotency_key`` is the same at every attempt and differs between deliveries. A delivery is
    handled at least once: after a crash, again. Whatever must not happen twice needs this key.
    """

    source: str
    delivery_id: str
    idempotency_key: str
    attempt: int
    received_at: datetime
    content_type: str | None
    body: bytes


class PermanentFailure(Exception):
    """Raised by a handler for what no retry can mend: the delivery becomes a dead letter at once."""


Handler = Callable[[Webhook], Awaitable[str | None]]
"""Handles a delivery; any exception means that it failed. What it returns is kept with the delivery."""


class HandlerNotFound(Exception):
    """No handler can be made from what the setting names."""


def load_handler(target: str) -> Handler:
    """Build the handler by its factory, ``module:function``.

    Raises:
        HandlerNotFound: there is no such module or function.
    """
    module, _, name = target.partition(":")
    try:
        factory: Callable[[], Handler] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise HandlerNotFound(f"WEBHOOK_HANDLER: {error}") from error
    return factory()
