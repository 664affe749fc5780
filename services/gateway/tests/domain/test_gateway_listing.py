"""Pages of tasks and their cursors, as pure functions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.common.ids import id_at
from worksite.common.messages import TaskEntry
from worksite.common.testing.examples import submit_task, task_state
from worksite.gateway.domain import cursors, listing
from worksite.gateway.domain.listing import CLOCK_SLACK, Selection, TaskPage, TaskQuery

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
Row = tuple[str, bytes, datetime]


def row(number: int, created: float, written: float, status: str | None = None) -> Row:
    """A row of a task, seconds after NOW."""
    task = id_at(NOW + timedelta(seconds=created))[:-4] + f"{number:04x}"
    submitted = submit_task(task=task, route="fix", submitted_at=NOW + timedelta(seconds=created))
    state = task_state().model_copy(update={"task": task, "status": status}) if status else None
    entry = TaskEntry(state=state, submitted=submitted, sequence=0)
    return task, entry.to_json(), NOW + timedelta(seconds=written)


def selected(rows: list[Row], query: TaskQuery) -> tuple[TaskPage, int]:
    """A page of rows that were written in this order, and how many had to be read."""
    selection = Selection(query)
    for read, one in enumerate(sorted(rows, key=lambda one: one[2], reverse=True), 1):
        selection.add(*one)
        if selection.is_settled:
            return selection.page(saw_all=False), read
    return selection.page(saw_all=True), len(rows)


def ids(page: TaskPage) -> list[str]:
    return [entry.submitted.task for entry in page.entries]


def all_pages(rows: list[Row], query: TaskQuery) -> list[str]:
    found: list[str] = []
    while True:
        page, _ = selected(rows, query)
        found += ids(page)
        if page.go_on_before is None:
            return found
        assert query.before is None or page.go_on_before < query.before
        query = replace(query, before=page.go_on_before)


moments = st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200), st.booleans()), max_size=40)


@given(
    moments=moments,
    limit=st.integers(1, 7),
    status=st.sampled_from([None, "queued", "completed"]),
    since=st.none() | st.floats(0, 200),
    until=st.none() | st.floats(0, 200),
)
def test_the_pages_together_are_every_task_that_fits_newest_first(
    moments: list[tuple[float, float, bool]], limit: int, status: Any, since: float | None, until: float | None
) -> None:
    rows = [
        row(number, created, created + later, "completed" if done else None)
        for number, (created, later, done) in enumerate(moments)
    ]
    start, end = ((NOW + timedelta(seconds=at) if at is not None else None) for at in (since, until))

    found = all_pages(rows, TaskQuery(limit, None, status, None, start, end))

    expected = [
        one[0]
        for one, (_, _, done) in zip(rows, moments, strict=True)
        if status in (None, "completed" if done else "queued")
        and (start is None or one[0] >= id_at(start))
        and (end is None or one[0] < id_at(end))
    ]
    assert found == sorted(expected, reverse=True)


def test_the_newest_are_known_without_reading_the_history() -> None:
    rows = [row(n, created=-60.0 * n, written=-60.0 * n + 30) for n in range(5000)]

    page, read = selected(rows, TaskQuery(limit=10))

    assert ids(page) == [one[0] for one in rows[:10]]
    assert read <= 13


def test_an_old_task_that_is_at_work_stays_where_it_was() -> None:
    rows = [row(n, created=-60.0 * n, written=-60.0 * n + 1) for n in range(100)]
    rows[50] = row(50, created=-60.0 * 50, written=1000)

    first, _ = selected(rows, TaskQuery(limit=10))
    fifth, _ = selected(rows, TaskQuery(limit=10, before=rows[45][0]))

    assert rows[50][0] not in ids(first)
    assert rows[50][0] in ids(fifth)


def test_a_beginning_ends_the_search() -> None:
    rows = [row(n, created=-60.0 * n, written=-60.0 * n) for n in range(1000)]

    page, read = selected(rows, TaskQuery(limit=50, since=NOW - timedelta(minutes=5)))

    assert len(page.entries) == 6
    assert page.go_on_before is None
    assert read <= 8


def test_a_search_for_what_is_rare_ends_early_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_EXAMINED", 20)
    rows = [row(n, created=-60.0 * n, written=-60.0 * n, status="failed" if n == 70 else None) for n in range(100)]

    first, read = selected(rows, TaskQuery(limit=5, status="failed"))

    assert (first.entries, read) == ((), 20)
    assert all_pages(rows, TaskQuery(limit=5, status="failed")) == [rows[70][0]]


def test_clocks_may_differ() -> None:
    ahead = row(1, created=CLOCK_SLACK.total_seconds() - 1, written=0)  # the gateway's clock is ahead of the bus's
    rows = [row(0, created=0.5, written=0.6), ahead]

    page, _ = selected(rows, TaskQuery(limit=1))

    assert ids(page) == [ahead[0]]


def test_what_was_written_meanwhile_counts_as_it_is_now() -> None:
    selection = Selection(TaskQuery(limit=5, status="completed"))
    one, other = row(1, 0, 0), row(2, 10, 10, "completed")
    selection.add(*other)
    selection.add(*one)
    selection.update(other[0], row(2, 10, 20, "failed")[1])
    selection.update(one[0], row(1, 0, 30, "completed")[1])

    assert ids(selection.page(saw_all=True)) == [one[0]]


def test_the_route_is_the_one_asked_for_until_admin_has_decided() -> None:
    queued, decided = row(1, 0, 0), row(2, 1, 1, "completed")

    assert all_pages([queued, decided], TaskQuery(5, route="fix")) == [queued[0]]
    assert all_pages([queued, decided], TaskQuery(5, route="feature")) == [decided[0]]


@given(st.binary(min_size=16, max_size=16))
def test_a_cursor_leads_back_to_its_place_in_its_own_list_only(place: bytes) -> None:
    cursor = cursors.encode("task", place.hex())

    assert len(cursor) <= cursors.MAX_LENGTH
    assert cursors.decode("task", cursor) == place.hex()
    assert cursors.decode("document", cursor) is None


@given(st.integers(0, 60), st.sampled_from("Aa0_"))
def test_a_cursor_that_was_changed_is_none(position: int, character: str) -> None:
    cursor = cursors.encode("task", "0123456789abcdef" * 2)
    changed = cursor[:position] + character + cursor[position + 1 :]

    assert (cursors.decode("task", changed) is None) == (changed != cursor)


@pytest.mark.parametrize("position", ["", "-1", "1" * 19, "x", "٣", "1\n"])
def test_a_cursor_that_names_no_place_is_none_however_well_it_is_made(position: str) -> None:
    assert cursors.decode("document", cursors.encode("document", position)) is None


@given(st.text(max_size=40))
def test_any_other_text_is_none(text: str) -> None:
    assert cursors.decode("document", text) is None
