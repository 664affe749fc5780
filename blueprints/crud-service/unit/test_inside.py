"""Skeleton."""

from typing import Any


def test_the_service_does_not_start_with_a_wrong_setting(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_the_stack_is_fastapi_over_sqlalchemy_and_sqlite(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_every_function_of_the_package_is_annotated(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_the_project_brings_tests_that_reach_every_endpoint_and_field(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_the_readme_names_every_endpoint_field_parameter_and_setting(app: Any) -> None:
    assert app.get("/healthz").status == 200
