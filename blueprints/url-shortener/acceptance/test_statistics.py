"""Acceptance: how often links are followed."""

from datetime import UTC, date, datetime, timedelta
from typing import Any


def _today() -> date:
    return datetime.now(UTC).date()


def test_clicks_are_counted_per_link(shortener: Any) -> None:
    links = [shortener.create()["code"] for _ in range(3)]

    for code, clicks in zip(links, (0, 1, 4), strict=True):
        for _ in range(clicks):
            shortener.visit(code.upper())

    assert [shortener.show(code)["clicks"] for code in links] == [0, 1, 4]
    assert [shortener.statistics(code)["clicks"] for code in links] == [0, 1, 4]
    listed = {each["code"]: each["clicks"] for each in shortener.manage("GET", "/links").json()["links"]}
    assert [listed[code] for code in links] == [0, 1, 4]


def test_of_parallel_clicks_none_is_lost_or_counted_twice(shortener: Any) -> None:
    one, other = (shortener.create()["code"] for _ in range(2))

    for _ in range(3):
        answers = shortener.app.concurrently([("GET", f"/{code}") for code in [one] * 10 + [other] * 3])
        assert {answer.status for answer in answers} == {307}

    assert [shortener.show(code)["clicks"] for code in (one, other)] == [30, 9]


def test_only_a_redirected_visit_is_a_click(shortener: Any) -> None:
    link = shortener.create()
    code = link["code"]

    for _ in range(3):
        assert shortener.app.request("HEAD", f"/{code}").headers["location"] == link["url"]
    for path in (f"/{code}/", f"/{code}x", f"/links/{code}"):
        shortener.manage("GET", path)
    shortener.app.post(f"/{code}")
    shortener.change(code, enabled=False)
    assert shortener.visit(code).status == 410
    shortener.change(code, enabled=True)

    assert shortener.show(code)["clicks"] == 0


def test_clicks_are_told_for_each_of_the_last_days(shortener: Any) -> None:
    code = shortener.create()["code"]
    first = _today()
    for _ in range(3):
        shortener.visit(code)

    for days in (1, 2, 30, 366):
        shown = shortener.statistics(code, days=days)
        last = date.fromisoformat(shown["days"][-1]["date"])
        assert first <= last <= _today()
        assert [each["date"] for each in shown["days"]] == [
            (last - timedelta(days=ago)).isoformat() for ago in range(days - 1, -1, -1)
        ]
        if last == first:  # it is not midnight
            assert [each["clicks"] for each in shown["days"]] == [0] * (days - 1) + [3]
    assert (shown["code"], shown["clicks"], sum(each["clicks"] for each in shown["days"])) == (code, 3, 3)
    assert len(shortener.statistics(code)["days"]) == 30
    for wrong in (0, -1, 367, "x"):
        assert shortener.manage("GET", f"/links/{code}/statistics", params={"days": wrong}).status == 422
