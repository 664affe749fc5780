"""Points in time as a person writes them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

_AGO = re.compile(r"([0-9]{1,6})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FORMS = "a date (2026-11-01), a date with a time (2026-11-01T12:00), or how long ago (30m, 12h, 7d, 2w)"


def moment(text: str, now: datetime) -> datetime:
    """The time that is meant; what names no zone is in that of `now`. Raises ValueError, which says what is taken."""
    if ago := _AGO.fullmatch(text):
        try:
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        except OverflowError:
            raise ValueError(f"{text!r} is before all times; give {FORMS}") from None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; give {FORMS}") from None
    return found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
