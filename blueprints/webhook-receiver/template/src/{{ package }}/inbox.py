"""The inbox: verify a delivery and store it, once, before the sender hears that it was accepted."""

import hashlib
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from .context import Context
from .models import Delivery, State
from .problems import DeliveryIdReused, InvalidSignature, StaleTimestamp, UnknownSource
from .signatures import Envelope, is_authentic


def require_source(context: Context, source: str) -> None:
    """Raise ``UnknownSource`` unless the source has a secret."""
    if source not in context.keys:
        raise UnknownSource


def accept(
    context: Context, source: str, envelope: Envelope, body: bytes, content_type: str | None
) -> Delivery:
    """Store a delivery for the workers; one that was stored before is returned as it is.

    Raises:
        InvalidSignature: no secret of the source made the signature, or headers are missing.
        StaleTimestamp: signed too long ago, or in the future.
        DeliveryIdReused: the id was accepted with another body.
    """
    if not is_authentic(envelope, body, context.keys[source]):
        raise InvalidSignature
    now = context.clock()
    if abs(now.timestamp() - int(envelope.timestamp)) > context.settings.tolerance_seconds:
        raise StaleTimestamp
    digest = hashlib.sha256(body).hexdigest()
    with context.database.write() as tx:
        known = tx.scalar(
            select(Delivery).where(
                Delivery.source == source, Delivery.delivery_id == envelope.delivery_id
            )
        )
        if known and known.body_digest != digest:
            raise DeliveryIdReused
        if known:
            return known
        _forget_finished(context, tx)
        delivery = Delivery(
            source=source,
            delivery_id=envelope.delivery_id,
            content_type=content_type,
            body=body,
            body_digest=digest,
            state=State.PENDING,
            tries=0,
            attempt_number=0,
            redrives=0,
            received_at=now,
            due_at=now,
        )
        tx.add(delivery)
        return delivery


def _forget_finished(context: Context, tx: Session) -> None:
    """Delete what was handled or purged longer ago than the retention."""
    horizon = context.clock() - timedelta(seconds=context.settings.retention_seconds)
    old = (Delivery.state.in_((State.HANDLED, State.PURGED)), Delivery.finished_at < horizon)
    tx.execute(delete(Delivery).where(*old))
