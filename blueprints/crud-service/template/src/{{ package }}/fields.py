"""The types that a field can have: what is accepted and how it is shown.

Request bodies are validated in pydantic's strict mode: nothing is converted, except that JSON has no
dates and no exact decimals, so these are read from the one form that is defined for them here.
"""

import datetime
import decimal
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

DECIMAL_PLACES = 6
MAX_INTEGER = 2**63 - 1  # what SQLite holds

_DECIMAL = r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$"
_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?"
_DATE_TIME = rf"{_DATE}T{_TIME}(Z|[+-][0-9]{{2}}:[0-9]{{2}})"

# What HTML forms accept (WHATWG HTML, "valid e-mail address"), with at least two domain labels.
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]+@{_LABEL}(?:\.{_LABEL})+$"
# RFC 3986 in its ASCII form: other characters are percent-encoded, other hosts in punycode.
_URL = rf"^https?://{_LABEL}(?:\.{_LABEL})*(?::[0-9]{{1,5}})?(?:[/?#][!-~]*)?$"


def _read_decimal(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(_DECIMAL, value):
            raise ValueError("must be a decimal number such as 9.99")
        return decimal.Decimal(value)
    return decimal.Decimal(value) if type(value) is int else value


def _show_decimal(value: decimal.Decimal) -> str:
    return format((value + 0).normalize(), "f")  # + 0 makes -0 a plain zero


def _read_date(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(_DATE, value):
            raise ValueError("must be a date such as 2030-01-31")
        return datetime.date.fromisoformat(value)
    return value


def _read_datetime(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(_DATE_TIME, value):
            raise ValueError("must be a time with offset such as 2030-01-31T09:30:00Z")
        try:
            return datetime.datetime.fromisoformat(value).astimezone(datetime.UTC)
        except OverflowError:
            raise ValueError("is out of range in UTC") from None
    return value


Text = Annotated[str, Field(min_length=1, max_length=2000)]
Integer = Annotated[
    int, Field(ge=-MAX_INTEGER - 1, le=MAX_INTEGER, json_schema_extra={"format": "int64"})
]
Decimal = Annotated[
    decimal.Decimal,
    Field(gt=-(10**12), lt=10**12, decimal_places=DECIMAL_PLACES),
    BeforeValidator(_read_decimal),
    PlainSerializer(_show_decimal, return_type=str, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": _DECIMAL}, {"type": "number"}]}, mode="validation"
    ),
    WithJsonSchema({"type": "string", "pattern": _DECIMAL}, mode="serialization"),
]
Boolean = bool
Date = Annotated[datetime.date, BeforeValidator(_read_date)]
DateTime = Annotated[datetime.datetime, BeforeValidator(_read_datetime)]
Email = Annotated[str, Field(max_length=254, pattern=_EMAIL, json_schema_extra={"format": "email"})]
Url = Annotated[str, Field(max_length=2000, pattern=_URL, json_schema_extra={"format": "uri"})]
