"""Ids bear the time of their making."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from worksite.common.ids import id_at, new_id


@pytest.mark.parametrize(
    ("moment", "least"),
    [
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), "0000000003e8" + "0" * 20),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), "0" * 32),
        (datetime.max.replace(tzinfo=timezone(timedelta(hours=-14))), None),
    ],
)
def test_every_time_has_a_least_id(moment: datetime, least: str | None) -> None:
    found = id_at(moment)

    assert len(found) == 32
    assert least in (None, found)


def test_an_id_is_not_less_than_the_least_of_its_time_and_less_than_that_of_a_later_one() -> None:
    before = id_at(datetime.now(UTC) - timedelta(seconds=1))
    made = new_id()
    after = id_at(datetime.now(UTC) + timedelta(seconds=1))

    assert before < made < after
