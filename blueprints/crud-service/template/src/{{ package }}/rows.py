"""What every stored record has, and how SQLite keeps types that it does not know."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Dialect, Integer
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from .fields import DECIMAL_PLACES


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


class ExactDecimal(TypeDecorator[Decimal]):
    """SQLite stores no decimals: keep millionths as an integer, which also sorts and compares exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """Convert to millionths."""
        return None if value is None else int(value.scaleb(DECIMAL_PLACES))

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """Convert from millionths."""
        return None if value is None else Decimal(value).scaleb(-DECIMAL_PLACES)


class Row(DeclarativeBase):
    """A record. ``row_version`` counts its states; ids of deleted records are not given again."""

    __abstract__ = True
    __table_args__: Any = ({"sqlite_autoincrement": True},)
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        datetime: UtcDateTime,
        Decimal: ExactDecimal,
        int: BigInteger,
    }

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    row_version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
