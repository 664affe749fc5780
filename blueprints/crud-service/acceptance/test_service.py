"""Skeleton."""

from typing import Any


def test_everything_survives_a_restart(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_openapi_describes_exactly_the_resource(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_health_endpoint_answers(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_every_error_is_a_problem_document(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_malformed_json_is_refused(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_other_media_types_are_refused(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_bodies_beyond_the_limit_are_refused(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_settings_come_from_the_environment(app: Any) -> None:
    assert app.get("/healthz").status == 200
