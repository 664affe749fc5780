"""What an administrator does: look at deliveries, redrive and purge dead letters."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, undefer

from .context import Context
from .models import Attempt, Delivery, State
from .problems import NotDead, NotFound


def list_deliveries(
    context: Context, state: State | None, source: str | None, before: int | None, limit: int
) -> Sequence[Delivery]:
    """Return deliveries, newest first, older than the id ``before``."""
    query = select(Delivery)
    if state is not None:
        query = query.where(Delivery.state == state)
    if source is not None:
        query = query.where(Delivery.source == source)
    if before is not None:
        query = query.where(Delivery.id < before)
    with context.database.read() as tx:
        return tx.scalars(query.order_by(Delivery.id.desc()).limit(limit)).all()


def show(context: Context, identity: int) -> Delivery:
    """Return a delivery with its body and attempts.

    Raises:
        NotFound: there is none with this id.
    """
    with context.database.read() as tx:
        options = (undefer(Delivery.body),)
        delivery = tx.get(Delivery, identity, options=options)
        if delivery is None:
            raise NotFound
        list(delivery.attempts)  # read while the transaction lasts
        return delivery


def redrive(context: Context, identity: int) -> None:
    """Make a dead letter due again, with all its attempts.

    Raises:
        NotFound: there is no delivery with this id.
        NotDead: it is no dead letter.
    """
    with context.database.write() as tx:
        _require_dead(tx, identity)
        _redrive(tx, [identity], context.clock())


def purge(context: Context, identity: int) -> None:
    """Erase what a dead letter holds. That it came stays known: a repetition is not handled.

    Raises:
        NotFound: there is no delivery with this id.
        NotDead: it is no dead letter.
    """
    with context.database.write() as tx:
        _require_dead(tx, identity)
        _purge(tx, [identity], context.clock())


def redrive_all(context: Context, source: str | None) -> int:
    """Redrive every dead letter, or those of a source; return how many there were."""
    with context.database.write() as tx:
        dead = _dead(tx, source)
        _redrive(tx, dead, context.clock())
        return len(dead)


def purge_all(context: Context, source: str | None) -> int:
    """Purge every dead letter, or those of a source; return how many there were."""
    with context.database.write() as tx:
        dead = _dead(tx, source)
        _purge(tx, dead, context.clock())
        return len(dead)


def _require_dead(tx: Session, identity: int) -> None:
    delivery = tx.get(Delivery, identity)
    if delivery is None:
        raise NotFound
    if delivery.state != State.DEAD:
        raise NotDead


def _dead(tx: Session, source: str | None) -> Sequence[int]:
    query = select(Delivery.id).where(Delivery.state == State.DEAD)
    if source is not None:
        query = query.where(Delivery.source == source)
    return tx.scalars(query).all()


def _redrive(tx: Session, identities: Sequence[int], now: datetime) -> None:
    changes = {
        "state": State.PENDING,
        "tries": 0,
        "due_at": now,
        "finished_at": None,
        "redrives": Delivery.redrives + 1,
    }
    for identity in identities:
        tx.execute(update(Delivery).where(Delivery.id == identity).values(changes))


def _purge(tx: Session, identities: Sequence[int], now: datetime) -> None:
    changes = {"state": State.PURGED, "body": b"", "error": None, "finished_at": now}
    for identity in identities:
        tx.execute(delete(Attempt).where(Attempt.delivery == identity))
        tx.execute(update(Delivery).where(Delivery.id == identity).values(changes))
