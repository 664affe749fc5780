"""Skeleton."""

from typing import Any


def test_a_created_record_is_shown_with_the_values_sent(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_a_record_has_exactly_the_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_required_fields_are_required_and_optional_ones_are_not(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_an_unknown_record_is_not_found(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_put_replaces_a_record(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_patch_changes_the_given_fields_only(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_patch_with_null_clears_optional_fields_only(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_delete_removes_one_record_for_good(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_the_times_of_creation_and_update_are_kept(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_a_refused_write_changes_nothing(app: Any) -> None:
    assert app.get("/healthz").status == 200
