"""Skeleton."""

from typing import Any


def test_the_etag_follows_every_change(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_an_outdated_if_match_is_refused(app: Any) -> None:
    assert app.get("/healthz").status == 200


def test_of_parallel_updates_with_one_etag_exactly_one_wins(app: Any) -> None:
    assert app.get("/healthz").status == 200
