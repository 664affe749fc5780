"""Lists in pages, by keyset: the cursor says where the last page ended, not how many records came before."""

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, and_, or_, select, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session
from sqlalchemy.types import NullType

from .fields import Integer
from .problems import InvalidQuery
from .rows import Row

_R = TypeVar("_R", bound=Row)

Condition = tuple[InstrumentedAttribute[Any], Callable[[Any, Any], Any], Any]


class PageQuery(BaseModel):
    """How much of a list to show, and from where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: str | None = Field(None, max_length=20_000, description="`next` of the page before.")


class _Cursor(BaseModel):
    """The end of a page: the last record's value in the column that sorts, as stored, and its id."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    sort: str
    value: Integer | str | None
    id: Integer


@dataclass(frozen=True, slots=True)
class Page(Generic[_R]):
    """Some rows, and the cursor of the next page if there is one."""

    rows: Sequence[_R]
    next: str | None


def conditions(*wanted: Condition) -> list[ColumnElement[bool]]:
    """Turn (column, comparison, value) into SQL; a value that was not asked for is None."""
    return [compare(column, value) for column, compare, value in wanted if value is not None]


def list_page(
    tx: Session, table: type[_R], where: Iterable[ColumnElement[bool]], sort: str, query: PageQuery
) -> Page[_R]:
    """Read one page in the order of ``sort``: the name of a column, after a minus if descending.

    Raises:
        InvalidQuery: the cursor is not one of this order.
    """
    # As stored, so that the cursor can hold it: text or integer, whatever the type of the field.
    value = type_coerce(table.__table__.c[sort.removeprefix("-")], NullType())
    shown_value = value.label("value_")  # no field can have this name
    statement = select(table, shown_value).where(*where).limit(query.limit + 1)
    if sort.startswith("-"):
        statement = statement.order_by(value.desc(), table.id.desc())
    else:
        statement = statement.order_by(value, table.id)
    if query.cursor is not None:
        statement = statement.where(_beyond(value, table.id, _read(query.cursor, sort)))
    found = tx.execute(statement).all()
    shown = found[: query.limit]
    rows = [row for row, _ in shown]
    if len(found) == len(shown):
        return Page(rows, None)
    return Page(rows, _write(_Cursor(sort=sort, value=shown[-1][1], id=rows[-1].id)))


def _beyond(value: ColumnElement[Any], row_id: Any, end: _Cursor) -> ColumnElement[bool]:
    """What comes after the end of a page. SQLite sorts a missing value before every other."""
    if end.sort.startswith("-"):
        tied = and_(value.is_not_distinct_from(end.value), row_id < end.id)
        return tied if end.value is None else or_(tied, value < end.value, value.is_(None))
    tied = and_(value.is_not_distinct_from(end.value), row_id > end.id)
    return or_(tied, value.is_not(None) if end.value is None else value > end.value)


def _write(cursor: _Cursor) -> str:
    return base64.urlsafe_b64encode(cursor.model_dump_json().encode()).decode()


def _read(text: str, sort: str) -> _Cursor:
    try:
        decoded = base64.b64decode(text.encode(), altchars=b"-_", validate=True)
        cursor = _Cursor.model_validate_json(decoded)
    except ValueError:
        raise InvalidQuery("The cursor is not one of this service.") from None
    if cursor.sort != sort:
        raise InvalidQuery("The cursor belongs to a list in another order.")
    return cursor
