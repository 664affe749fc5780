"""A bearer token comes from the gateway's issuer, and what the issuer refuses is one line."""

import pytest

LIMITED = {"title": "Too many requests", "status": 429, "detail": "too many from this address"}


@pytest.fixture
def issuer(gateway, monkeypatch):
    """The fake gateway, which gives out tokens itself."""
    monkeypatch.delenv("WORKSITE_TOKEN")
    monkeypatch.setenv("WORKSITE_CLIENT_SECRET", "s")
    return gateway


def test_a_token_that_is_limited_is_waited_for_and_that_is_said(issuer, worksite):
    issuer.add_task()
    issuer.refusals = [("/oauth/token", 429, {"Retry-After": "0"}, LIMITED)] * 2
    done = worksite("tasks")
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert done.stderr.splitlines() == ["Too many requests: too many from this address: waiting 0 s"] * 2


@pytest.mark.parametrize("command", [("tasks",), ("token",), ("cancel", "last")])
def test_a_token_that_would_take_too_long_is_one_line(issuer, worksite, command):
    issuer.refusals = [("/oauth/token", 429, {"Retry-After": "3600"}, LIMITED)]
    done = worksite(*command)
    assert done.exit_code == 1
    assert done.stderr == "worksite: Too many requests: too many from this address: try again in 3600 s\n"


def test_a_wrong_secret_is_one_line(issuer, worksite):
    refusal = {"error": "invalid_client", "error_description": "unknown client or wrong secret"}
    issuer.refusals = [("/oauth/token", 401, {}, refusal)]
    done = worksite("tasks")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "wrong secret" in done.stderr


@pytest.mark.parametrize("document", [{}, [], {"title": "Not found"}])
def test_an_answer_that_is_no_token_is_one_line(issuer, worksite, document):
    issuer.refusals = [("/oauth/token", 404, {"Content-Type": "application/problem+json"}, document)]
    done = worksite("tasks")
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "no token" in done.stderr
