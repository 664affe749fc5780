"""Acceptance: login, lockout, refresh with rotation, logout."""

import secrets
import time
from typing import Any

PARALLEL = 4  # few: each is a thread of the candidate, and the sandbox bounds threads
COSTLY = {"AUTH_ARGON2_TIME_COST": "4", "AUTH_ARGON2_MEMORY_KIB": "32768"}


def _register(app: Any, fresh: Any) -> dict[str, str]:
    credentials = {"email": fresh.email(), "password": fresh.password()}
    assert app.post("/register", json=credentials).status == 201
    return credentials


def _try(app: Any, email: str, password: str) -> Any:
    return app.post("/login", json={"email": email, "password": password})


def _fail(app: Any, fresh: Any, email: str, times: int) -> list[int]:
    return [_try(app, email, fresh.password()).status for _ in range(times)]


def _login(app: Any, credentials: dict[str, str]) -> dict[str, Any]:
    response = app.post("/login", json=credentials)
    assert response.status == 200
    return response.json()


def _refresh(app: Any, token: str) -> Any:
    return app.post("/refresh", json={"refresh_token": token})


def _is_alive(app: Any, tokens: dict[str, Any]) -> bool:
    headers = {"authorization": f"Bearer {tokens['access_token']}"}
    status = app.get("/me", headers=headers).status
    assert status in (200, 401)
    return status == 200


def test_login_yields_tokens_for_the_right_password(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)

    response = app.post("/login", json=credentials)

    assert response.status == 200
    assert "no-store" in response.headers["cache-control"]
    tokens = response.json()
    assert tokens["token_type"] == "Bearer"
    assert type(tokens["expires_in"]) is int
    assert tokens["expires_in"] > 0
    assert len(tokens["refresh_token"]) >= 32
    me = app.get("/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert me.status == 200
    assert me.json()["email"] == credentials["email"].lower()


def test_login_refuses_every_other_password(app: Any, fresh: Any) -> None:
    credentials, other = _register(app, fresh), _register(app, fresh)
    email, password = credentials["email"], credentials["password"]

    for wrong in (fresh.password(), other["password"], password[:-1], password + "x"):
        response = _try(app, email, wrong)
        assert response.status == 401
        assert response.json()["code"] == "invalid-credentials"
        assert "token" not in response.text

    assert _try(app, email, "").status == 422
    assert _try(app, email, password).status == 200


def test_login_answers_alike_for_a_wrong_password_and_an_unknown_account(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)

    wrong = _try(app, credentials["email"], fresh.password())
    unknown = _try(app, fresh.email(), credentials["password"])

    assert wrong.status == unknown.status == 401
    assert wrong.text == unknown.text
    assert wrong.headers == unknown.headers


def test_login_works_as_long_for_an_unknown_account_as_for_a_wrong_password(launch: Any, fresh: Any) -> None:
    app = launch(env={**COSTLY, "AUTH_LOCKOUT_ATTEMPTS": "100"})
    email = _register(app, fresh)["email"]

    def seconds(address: str) -> float:
        begin = time.monotonic()
        assert _try(app, address, fresh.password()).status == 401
        return time.monotonic() - begin

    # A busy machine makes any single answer slow, but cannot make the fastest one faster than its work: hashing,
    # which takes many times as long as all the rest.
    known, unknown = ([seconds(address) for _ in range(4)] for address in (email, fresh.email()))
    while min(unknown) < min(known) / 2:
        assert len(known) < 20, "an unknown account is answered without the work of a password check"
        known.append(seconds(email))
        unknown.append(seconds(fresh.email()))


def test_lockout_refuses_the_right_password_after_the_configured_failures(launch: Any, fresh: Any) -> None:
    attempts, seconds = 2 + secrets.randbelow(4), 100 + secrets.randbelow(100)
    app = launch(env={"AUTH_LOCKOUT_ATTEMPTS": str(attempts), "AUTH_LOCKOUT_SECONDS": str(seconds)})
    locked, other = _register(app, fresh), _register(app, fresh)
    assert _fail(app, fresh, locked["email"], attempts) == [401] * attempts

    response = app.post("/login", json=locked)

    assert response.status == 429
    assert response.json()["code"] == "too-many-attempts"
    assert 1 <= int(response.headers["retry-after"]) <= seconds
    assert app.post("/login", json={**locked, "email": locked["email"].upper()}).status == 429
    assert app.post("/login", json=other).status == 200


def test_lockout_bounds_parallel_guesses_too(launch: Any, fresh: Any) -> None:
    app = launch(env={**COSTLY, "AUTH_LOCKOUT_ATTEMPTS": "2"})

    for _ in range(2):
        email = _register(app, fresh)["email"]
        guesses = [{"email": email, "password": fresh.password()} for _ in range(PARALLEL)]
        answers = app.concurrently([("POST", "/login", {"json": guess}) for guess in guesses])
        # Hashing takes long enough for all guesses to arrive before the first is judged.
        assert sorted(answer.status for answer in answers) == [401] * 2 + [429] * (PARALLEL - 2)


def test_lockout_ends_after_its_time(launch: Any, fresh: Any) -> None:
    app = launch(env={"AUTH_LOCKOUT_ATTEMPTS": "2", "AUTH_LOCKOUT_SECONDS": "2"})
    credentials = _register(app, fresh)
    _fail(app, fresh, credentials["email"], 1)
    before_lock = time.monotonic()
    _fail(app, fresh, credentials["email"], 1)
    locked = app.post("/login", json=credentials).status == 429
    assert locked or time.monotonic() - before_lock >= 2

    deadline = before_lock + 20
    while app.post("/login", json=credentials).status == 429:
        assert time.monotonic() < deadline, "still locked"
        time.sleep(0.1)

    assert time.monotonic() - before_lock >= 2
    assert app.post("/login", json=credentials).status == 200


def test_lockout_does_not_tell_whether_the_account_exists(app: Any, fresh: Any) -> None:
    known, unknown = _register(app, fresh)["email"], fresh.email()

    answers = [
        [(answer.status, answer.text, set(answer.headers)) for answer in series]
        for series in ([_try(app, email, fresh.password()) for _ in range(8)] for email in (known, unknown))
    ]

    assert answers[0] == answers[1]
    assert [status for status, _, _ in answers[0]] == [401] * 5 + [429] * 3


def test_lockout_counts_only_failures_in_a_row(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)

    for _ in range(3):
        assert _fail(app, fresh, credentials["email"], 4) == [401] * 4
        assert app.post("/login", json=credentials).status == 200


def test_refresh_rotates_the_tokens(app: Any, fresh: Any) -> None:
    tokens = _login(app, _register(app, fresh))
    seen = {tokens["refresh_token"]}

    for _ in range(4):
        response = _refresh(app, tokens["refresh_token"])
        assert response.status == 200
        assert "no-store" in response.headers["cache-control"]
        renewed = response.json()
        assert set(renewed) == {"access_token", "refresh_token", "token_type", "expires_in"}
        assert renewed["access_token"] != tokens["access_token"]
        assert _is_alive(app, renewed)
        seen.add(renewed["refresh_token"])
        tokens = renewed

    assert len(seen) == 5


def test_refresh_token_works_only_once(app: Any, fresh: Any) -> None:
    token = _login(app, _register(app, fresh))["refresh_token"]
    assert _refresh(app, token).status == 200

    again = _refresh(app, token)

    assert again.status == 401
    assert again.json()["code"] == "invalid-refresh-token"
    assert "access_token" not in again.text


def test_refresh_token_works_once_even_in_parallel(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)

    for _ in range(3):
        token = {"refresh_token": _login(app, credentials)["refresh_token"]}
        answers = app.concurrently([("POST", "/refresh", {"json": token})] * PARALLEL)
        assert sorted(answer.status for answer in answers) == [200] + [401] * (PARALLEL - 1)


def test_refresh_reuse_revokes_the_whole_family(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)
    other = _login(app, credentials)
    first = _login(app, credentials)
    second = _refresh(app, first["refresh_token"]).json()
    third = _refresh(app, second["refresh_token"]).json()
    assert _is_alive(app, third)

    assert _refresh(app, first["refresh_token"]).status == 401

    assert _refresh(app, third["refresh_token"]).status == 401
    assert [_is_alive(app, each) for each in (first, second, third)] == [False] * 3
    assert _is_alive(app, other)
    assert _refresh(app, other["refresh_token"]).status == 200


def test_refresh_token_expires(launch: Any, fresh: Any) -> None:
    app = launch(env={"AUTH_REFRESH_TOKEN_SECONDS": "2"})
    credentials = _register(app, fresh)
    begin = time.monotonic()
    early, late = _login(app, credentials), _login(app, credentials)
    accepted = _refresh(app, early["refresh_token"]).status == 200
    assert accepted or time.monotonic() - begin >= 2

    time.sleep(2.1)  # Polling would spend the token.

    assert _refresh(app, late["refresh_token"]).status == 401


def test_refresh_refuses_what_is_not_a_refresh_token(app: Any, fresh: Any) -> None:
    tokens = _login(app, _register(app, fresh))
    flipped = tokens["refresh_token"].swapcase()

    for wrong in (fresh.word(), flipped, tokens["access_token"][:190]):
        response = _refresh(app, wrong)
        assert response.status == 401
        assert response.json()["code"] == "invalid-refresh-token"
    for body in ({}, {"refresh_token": 1}, {"refresh_token": ""}, [tokens["refresh_token"]]):
        assert app.post("/refresh", json=body).status == 422
    bearer = {"authorization": f"Bearer {tokens['refresh_token']}"}
    assert app.get("/me", headers=bearer).status == 401
    assert _refresh(app, tokens["refresh_token"]).status == 200


def test_logout_ends_the_session_at_once(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)
    other = _login(app, credentials)
    first = _login(app, credentials)
    latest = _refresh(app, first["refresh_token"]).json()
    assert _is_alive(app, latest)

    response = app.post("/logout", json={"refresh_token": latest["refresh_token"]})

    assert response.status == 204
    assert response.text == ""
    assert _refresh(app, latest["refresh_token"]).status == 401
    assert [_is_alive(app, each) for each in (first, latest)] == [False, False]
    assert _is_alive(app, other)
    assert _refresh(app, other["refresh_token"]).status == 200


def test_logout_of_an_ended_or_unknown_session_is_no_error(app: Any, fresh: Any) -> None:
    token = _login(app, _register(app, fresh))["refresh_token"]

    for each in (token, token, fresh.word()):
        assert app.post("/logout", json={"refresh_token": each}).status == 204
