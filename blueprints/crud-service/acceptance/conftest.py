"""What the tests share: the fields that were asked for, and values for them that nobody could foresee."""

import datetime
import random
import string
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

FIELDS = "{{ fields }}"
PATH = "/{{ plural }}"
RANGED = ("integer", "decimal", "date", "datetime")

_random = random.SystemRandom()


@dataclass(frozen=True)
class Field:
    """One field: `filter` is the query parameter that selects equal values."""

    name: str
    kind: str
    optional: bool
    filter: str

    def value(self) -> Any:
        """A value as the service shows it, from all over the type's range."""
        return _VALUES[self.kind]()

    def other(self, value: Any) -> Any:
        """Another value than this one."""
        while (found := self.value()) == value:
            pass
        return found

    def rank(self, value: Any) -> tuple[bool, Any]:
        """What to compare by in the order of the type; a missing value comes first."""
        return (value is not None, Decimal(value) if self.kind == "decimal" and value else value or 0)


def _word() -> str:
    return "".join(_random.choices(string.ascii_lowercase, k=10))


def _text() -> str:
    return _word() + " " + "".join(_random.choices("Aé中😀\"'\\%_\t<>&", k=8))


def _decimal() -> str:
    units = _random.randrange(-(10**18) + 1, 10**18)
    return format(Decimal(units).scaleb(-6).normalize(), "f")


def _date() -> str:
    return datetime.date.fromordinal(_random.randrange(1, datetime.date.max.toordinal() + 1)).isoformat()


def _datetime() -> str:
    clock = datetime.time(*(_random.randrange(bound) for bound in (24, 60, 60)), _random.randrange(1, 10**6))
    return f"{_date()}T{clock.isoformat()}Z"


_VALUES = {
    "text": _text,
    "integer": lambda: _random.randrange(-(2**63), 2**63),
    "decimal": _decimal,
    "boolean": lambda: _random.random() < 0.5,
    "date": _date,
    "datetime": _datetime,
    "email": lambda: f"{_word().capitalize()}.{_word()}@{_word()}.example",
    "url": lambda: f"https://{_word()}.example/{_word()}?{_word()}={_word()}#{_word()}",
}


def _fields() -> list[Field]:
    pairs = [part.split(":") for part in FIELDS.split(",")]
    ranges = {f"{end}_{name}" for name, kind in pairs for end in ("min", "max") if kind.rstrip("?") in RANGED}
    taken = ranges | {"limit", "cursor", "sort"}
    return [
        Field(name, kind.rstrip("?"), kind.endswith("?"), name + "_" if name in taken else name) for name, kind in pairs
    ]


class Records:
    """The records of a running candidate."""

    path = PATH
    own = ("id", "created_at", "updated_at")

    def __init__(self, app: Any) -> None:
        self.app = app
        self.fields = _fields()

    def of_kind(self, kind: str) -> list[Field]:
        return [field for field in self.fields if field.kind == kind]

    def word(self) -> str:
        """Ten small letters."""
        return _word()

    def values(self) -> dict[str, Any]:
        """A fresh value for every field."""
        return {field.name: field.value() for field in self.fields}

    def others(self, values: dict[str, Any]) -> dict[str, Any]:
        """For every field another value."""
        return {field.name: field.other(values[field.name]) for field in self.fields}

    def create(self, values: dict[str, Any] | None = None) -> dict[str, Any]:
        """Create a record; as it is shown."""
        response = self.app.post(PATH, json=values or self.values())
        assert response.status == 201, response
        return response.json()

    def url(self, record: dict[str, Any]) -> str:
        return f"{PATH}/{record['id']}"

    def read(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record as it is now."""
        response = self.app.get(self.url(record))
        assert response.status == 200, response
        return response.json()

    def find(self, /, **query: Any) -> list[dict[str, Any]]:
        """Everything that a query finds, from all pages."""
        found: list[dict[str, Any]] = []
        for _ in range(200):
            response = self.app.get(PATH, params=query)
            assert response.status == 200, response
            page = response.json()
            found += page["items"]
            if page["next"] is None:
                return found
            query = query | {"cursor": page["next"]}
        raise AssertionError("the pages do not end")

    def ids(self, /, **query: Any) -> list[int]:
        return [record["id"] for record in self.find(**query)]

    def empty(self) -> None:
        """Delete whatever other tests have left."""
        for record in self.find(limit=100):
            assert self.app.delete(self.url(record)).status == 204

    def without_own(self, record: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in record.items() if name not in self.own}


@pytest.fixture(scope="module")
def records(app: Any) -> Records:
    return Records(app)
