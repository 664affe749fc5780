"""The tables."""

from datetime import UTC, datetime
from enum import StrEnum, auto
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """SQLite stores no time zone: keep UTC in the column and aware datetimes in Python."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware datetime to naive UTC."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Mark what was read as UTC."""
        return value.replace(tzinfo=UTC) if value else None


class State(StrEnum):
    """Where a delivery stands; stored as the name in lower case."""

    PENDING = auto()
    HANDLED = auto()
    DEAD = auto()
    PURGED = auto()


class Base(DeclarativeBase):
    """Shared column types: text keys are bounded, datetimes are UTC."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, str: String(255)}


class Attempt(Base):
    """One call of the handler; without ``finished_at`` it still runs, or the process died in it."""

    __tablename__ = "attempts"

    delivery: Mapped[int] = mapped_column(
        ForeignKey("deliveries.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(Text)
    retry_at: Mapped[datetime | None]


class Delivery(Base):
    """A webhook that was accepted. Its row is what makes repetitions of it known.

    ``due_at`` is when a worker may take it. A worker that takes it moves ``due_at`` on by the
    lease, so that another takes it over if that worker dies. ``tries`` counts the attempts
    since it was accepted or redriven, ``attempt_number`` all of them.
    """

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("source", "delivery_id"),
        Index("ix_deliveries_due", "state", "due_at"),
        Index("ix_deliveries_finished", "state", "finished_at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str]
    delivery_id: Mapped[str]
    content_type: Mapped[str | None]
    body: Mapped[bytes] = mapped_column(deferred=True)
    body_digest: Mapped[str]
    state: Mapped[str]
    tries: Mapped[int]
    attempt_number: Mapped[int]
    redrives: Mapped[int]
    received_at: Mapped[datetime]
    due_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    result: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    attempts: Mapped[list[Attempt]] = relationship(
        order_by=Attempt.number, cascade="all, delete-orphan", passive_deletes=True
    )
