"""Request and response bodies."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from typing_extensions import TypedDict

from .codes import ALIAS
from .models import State

_STRICT = ConfigDict(extra="forbid", strict=True)
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)"


def _read_time(value: Any) -> Any:
    if isinstance(value, str):
        if not re.fullmatch(_TIME, value, re.ASCII):
            raise ValueError("must be a time with offset such as 2030-01-31T09:30:00Z")
        try:
            return datetime.fromisoformat(value).astimezone(UTC)
        except OverflowError:
            raise ValueError("is out of range in UTC") from None
    return value


Time = Annotated[datetime, BeforeValidator(_read_time)]
Alias = Annotated[str, Field(pattern=ALIAS), AfterValidator(str.lower)]
Expiry = Annotated[Time | None, Field(description="When the link ends; null means never.")]


class LinkIn(BaseModel):
    """What a link shall be. Without an alias it gets a random code."""

    model_config = _STRICT

    url: str = Field(json_schema_extra={"format": "uri"})
    alias: Alias | None = None
    expires_at: Expiry = None


class LinkPatch(TypedDict, total=False):
    """Changes to a link: what is left out stays as it is."""

    __pydantic_config__ = _STRICT  # type: ignore[misc]

    enabled: bool
    expires_at: Expiry


class _Response(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class LinkOut(_Response):
    """A link as the owner of the token sees it."""

    code: str
    short_url: str
    url: str
    state: State
    created_at: datetime
    expires_at: datetime | None
    clicks: int = Field(description="How often it was followed, on all days.")


class LinksOut(_Response):
    """Links, newest first. ``next`` is the value of ``before`` for the following page."""

    links: list[LinkOut]
    next: str | None


class DayOut(_Response):
    """The clicks of one day (UTC)."""

    date: date
    clicks: int


class StatisticsOut(_Response):
    """How often a link was followed: on all days, and on each of the last ones, today last."""

    code: str
    clicks: int
    days: list[DayOut]


class HealthOut(_Response):
    """The service answers and so does its database."""

    status: Literal["ok"] = "ok"


class ProblemOut(_Response):
    """An error (RFC 9457); ``code`` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
