"""Skeleton."""

from typing import Any


def test_unknown_fields_are_refused(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_every_field_refuses_every_other_type(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_a_refusal_names_every_wrong_field(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_text_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_integer_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_decimal_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_boolean_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_date_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_datetime_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_email_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_url_fields(app: Any) -> None:
    assert app.get("/healthz").status == 200
