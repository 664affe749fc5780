"""Your handler: what is to be done with a webhook. Replace the body of ``handle``."""

import logging

from .handling import Handler, Webhook

log = logging.getLogger(__name__)


def create_handler() -> Handler:
    """Build the handler, once, at start. Open here what it needs: clients, connections."""
    return handle


async def handle(webhook: Webhook) -> str | None:
    """Handle one webhook; it may come again, with the same ``idempotency_key``.

    Raise to have it tried again, ``PermanentFailure`` to give it up. Blocking calls belong into
    ``asyncio.to_thread``. The result, such as an order number, is shown with the delivery.
    """
    log.info("received %s (%d bytes)", webhook.idempotency_key, len(webhook.body))
    return None
