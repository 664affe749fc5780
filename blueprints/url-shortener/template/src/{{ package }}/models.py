"""The tables. Of a click only its day is kept: nothing that could tell who clicked."""

from datetime import UTC, date, datetime
from enum import StrEnum, auto
from typing import Any, ClassVar

from sqlalchemy import DateTime, Dialect, ForeignKey, Text, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, mapped_column
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
    """What a link does; follows from its columns and the time."""

    ACTIVE = auto()
    DISABLED = auto()
    EXPIRED = auto()


class Base(DeclarativeBase):
    """Shared column types: text of any length, datetimes in UTC."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, str: Text}


class DailyClicks(Base):
    """How often a link was followed on a day (UTC)."""

    __tablename__ = "daily_clicks"

    link: Mapped[int] = mapped_column(ForeignKey("links.id"), primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    count: Mapped[int]


class Link(Base):
    """A short link. The row of a deleted one stays, emptied, so that its code is not given again."""

    __tablename__ = "links"
    __table_args__: Any = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(unique=True)
    url: Mapped[str]
    enabled: Mapped[bool]
    deleted: Mapped[bool]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    clicks: Mapped[int] = column_property(
        select(func.coalesce(func.sum(DailyClicks.count), 0))
        .where(DailyClicks.link == id)
        .scalar_subquery()
    )

    def state(self, now: datetime) -> State:
        """Return what the link does at this time."""
        if not self.enabled:
            return State.DISABLED
        expired = self.expires_at is not None and self.expires_at <= now
        return State.EXPIRED if expired else State.ACTIVE
