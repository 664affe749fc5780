"""Skeleton."""

from typing import Any


def test_the_list_shows_every_record_in_order_of_creation(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_pages_are_complete_and_do_not_overlap(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_pages_are_stable_under_inserts_and_deletes(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_wrong_limits_and_cursors_are_refused(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_every_field_filters_by_equality(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_integer_fields_filter_by_range(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_decimal_fields_filter_by_range(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_date_fields_filter_by_range(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_datetime_fields_filter_by_range(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_filters_combine_with_sorting_and_paging(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_wrong_queries_are_refused(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_every_field_sorts_in_both_directions(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_pages_follow_the_order_of_any_field(app: Any) -> None:
    assert app.get("/healthz").status == 200
