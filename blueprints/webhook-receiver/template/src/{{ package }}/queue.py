"""The queue of stored deliveries: a worker claims one, and says what came of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from .context import Context
from .handling import Webhook
from .models import Attempt, Delivery, State

_MAX_TEXT = 2000
_INTERRUPTED = "The process ended, or hung, during the last attempt."


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to make one attempt at one delivery, until the lease ends."""

    delivery: int
    number: int
    webhook: Webhook


def claim(context: Context) -> Claim | None:
    """Take the delivery that has been due for longest; None when none is due.

    The attempt is counted before it is made: a delivery that kills the process each time is
    bounded too.
    """
    now = context.clock()
    due = select(Delivery).where(Delivery.state == State.PENDING, Delivery.due_at <= now)
    oldest = due.order_by(Delivery.due_at, Delivery.id).limit(1)
    with context.database.read() as tx:
        if tx.scalar(oldest) is None:  # an idle service must not keep taking the write lock
            return None
    with context.database.write() as tx:
        while delivery := tx.scalar(oldest.options(undefer(Delivery.body))):
            if delivery.tries < context.settings.max_attempts:
                return _begin(context, tx, delivery, now)
            _bury(delivery, _INTERRUPTED, now)
            tx.flush()
    return None


def succeed(context: Context, claim: Claim, result: str | None) -> None:
    """Record that the handler has done its work."""
    now = context.clock()
    with context.database.write() as tx:
        if delivery := _held(tx, claim):
            _finish_attempt(tx, claim, now)
            delivery.state = State.HANDLED
            delivery.finished_at = now
            delivery.result = result[:_MAX_TEXT] if result else result
            delivery.error = None


def fail(context: Context, claim: Claim, error: str, *, permanent: bool) -> None:
    """Record a failed attempt: the delivery is due again after a while, or dead."""
    now = context.clock()
    with context.database.write() as tx:
        if delivery := _held(tx, claim):
            attempt = _finish_attempt(tx, claim, now, error)
            if permanent or delivery.tries >= context.settings.max_attempts:
                _bury(delivery, error, now)
            else:
                delivery.due_at = attempt.retry_at = now + _delay(context, delivery.tries)
                delivery.error = attempt.error


def release(context: Context, claim: Claim) -> None:
    """Give a delivery back because the service stops: due at once, and the attempt does not count."""
    now = context.clock()
    with context.database.write() as tx:
        if delivery := _held(tx, claim):
            attempt = _finish_attempt(tx, claim, now, "The service was stopped.")
            delivery.tries -= 1
            delivery.due_at = attempt.retry_at = now


def _begin(context: Context, tx: Session, delivery: Delivery, now: datetime) -> Claim:
    delivery.tries += 1
    delivery.attempt_number += 1
    # Twice as long as the handler may take: nobody takes over while its end is being recorded.
    delivery.due_at = now + timedelta(seconds=2 * context.settings.handler_timeout_seconds)
    tx.add(Attempt(delivery=delivery.id, number=delivery.attempt_number, started_at=now))
    webhook = Webhook(
        source=delivery.source,
        delivery_id=delivery.delivery_id,
        idempotency_key=f"{delivery.source}/{delivery.delivery_id}",
        attempt=delivery.attempt_number,
        received_at=delivery.received_at,
        content_type=delivery.content_type,
        body=delivery.body,
    )
    return Claim(delivery.id, delivery.attempt_number, webhook)


def _held(tx: Session, claim: Claim) -> Delivery | None:
    """Return the delivery, unless the lease has ended and another worker took it over."""
    delivery = tx.get(Delivery, claim.delivery)
    if delivery is None or delivery.state != State.PENDING:
        return None
    return delivery if delivery.attempt_number == claim.number else None


def _finish_attempt(tx: Session, claim: Claim, now: datetime, error: str | None = None) -> Attempt:
    attempt = tx.get_one(Attempt, (claim.delivery, claim.number))
    attempt.finished_at = now
    attempt.error = error[:_MAX_TEXT] if error else None
    return attempt


def _bury(delivery: Delivery, error: str, now: datetime) -> None:
    delivery.state = State.DEAD
    delivery.finished_at = now
    delivery.error = error[:_MAX_TEXT]


def _delay(context: Context, tries: int) -> timedelta:
    settings = context.settings
    # The exponent is bounded so that no number of attempts overflows a float.
    doubled = settings.retry_base_seconds * 2.0 ** min(tries - 1, 64)
    return timedelta(seconds=min(doubled, settings.retry_max_seconds))
