"""Acceptance: registration, the account, its password, its audit log."""

from datetime import UTC, datetime, timedelta
from typing import Any


def _sign_up(app: Any, email: str, password: str) -> Any:
    return app.post("/register", json={"email": email, "password": password})


def _register(app: Any, fresh: Any) -> dict[str, str]:
    credentials = {"email": fresh.email(), "password": fresh.password()}
    assert app.post("/register", json=credentials).status == 201
    return credentials


def _login(app: Any, credentials: dict[str, str]) -> dict[str, Any]:
    response = app.post("/login", json=credentials)
    assert response.status == 200
    return response.json()


def _login_status(app: Any, email: str, password: str) -> int:
    return app.post("/login", json={"email": email, "password": password}).status


def _bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"authorization": f"Bearer {tokens['access_token']}"}


def _change(app: Any, tokens: dict[str, Any], current: str, new: str) -> Any:
    body = {"current_password": current, "new_password": new}
    return app.post("/me/password", json=body, headers=_bearer(tokens))


def _events(app: Any, tokens: dict[str, Any], **params: int) -> dict[str, Any]:
    response = app.get("/me/events", headers=_bearer(tokens), params=params)
    assert response.status == 200
    return response.json()


def _actions(app: Any, tokens: dict[str, Any]) -> list[str]:
    return [event["action"] for event in _events(app, tokens)["events"]]


def test_register_creates_an_account_that_can_log_in(app: Any, fresh: Any) -> None:
    email, password = fresh.email(), fresh.password()
    assert _login_status(app, email, password) == 401

    response = _sign_up(app, email, password)

    assert response.status == 201
    account = response.json()
    assert set(account) == {"id", "email", "created_at"}
    assert account["email"] == email.lower()
    assert type(account["id"]) is str
    assert account["id"]
    assert _login_status(app, email, password) == 200


def test_register_refuses_an_address_that_is_taken(app: Any, fresh: Any) -> None:
    email, password, second = fresh.email(), fresh.password(), fresh.password()
    assert _sign_up(app, email, password).status == 201

    same = _sign_up(app, email, second)
    shouted = _sign_up(app, email.upper(), second)

    assert same.status == shouted.status == 409
    assert same.json()["code"] == shouted.json()["code"] == "email-taken"
    assert _login_status(app, email, second) == 401
    assert _login_status(app, email, password) == 200


def test_register_refuses_a_weak_password(app: Any, fresh: Any) -> None:
    name = fresh.word()
    email = f"{name}@example.com"
    too_short = fresh.password()[:11]
    too_plain = fresh.word()[0] * 20
    telltale = f"{name}-{fresh.password()}"

    for weak in (too_short, too_plain, telltale):
        response = _sign_up(app, email, weak)
        assert response.status == 422, weak
        assert response.json()["code"] == "weak-password"
        assert weak not in response.text

    assert _sign_up(app, email, fresh.password()).status == 201


def test_register_refuses_a_request_of_the_wrong_form(app: Any, fresh: Any) -> None:
    email, password = fresh.email(), fresh.password()
    wrong: list[Any] = [
        {"email": fresh.word(), "password": password},
        {"email": f"{fresh.word()}@", "password": password},
        {"email": f"@{fresh.word()}.example", "password": password},
        {"email": f"{fresh.word()} {email}", "password": password},
        {"email": email},
        {"password": password},
        {"email": email, "password": 123456789012},
        {"email": [email], "password": password},
        {"email": email, "password": password, "admin": True},
        {"email": email, "password": password * 20},
        [email, password],
        password,
    ]

    for body in wrong:
        response = app.post("/register", json=body)
        assert response.status == 422, body
        assert response.json()["code"] == "invalid-request"

    assert _login_status(app, email, password) == 401


def test_no_response_contains_a_password_or_its_hash(app: Any, fresh: Any) -> None:
    email, password, other = fresh.email(), fresh.password(), fresh.password()
    credentials = {"email": email, "password": password}
    created = app.post("/register", json=credentials)
    tokens = app.post("/login", json=credentials)
    bearer = {"authorization": f"Bearer {tokens.json()['access_token']}"}
    change = {"current_password": other, "new_password": password}
    responses = [
        created,
        tokens,
        app.post("/register", json=credentials),
        app.post("/register", json={"email": password, "password": password}),
        app.post("/register", json={**credentials, "extra": password}),
        app.post("/login", json={"email": email, "password": other}),
        app.post("/login", json=[password]),
        app.get("/me", headers=bearer),
        app.get("/me/events", headers=bearer),
        app.post("/me/password", json=change, headers=bearer),
        app.post("/me/password", json={"new_password": password}, headers=bearer),
    ]

    assert created.status == 201
    assert tokens.status == 200
    for response in responses:
        shown = response.text + repr(response.headers)
        assert password not in shown
        assert other not in shown
        assert "argon2" not in shown


def test_me_shows_the_account_of_the_token(app: Any, fresh: Any) -> None:
    everyone = [_register(app, fresh) for _ in range(2)]
    shown = [app.get("/me", headers=_bearer(_login(app, one))).json() for one in everyone]

    for account, credentials in zip(shown, everyone, strict=True):
        assert set(account) == {"id", "email", "created_at"}
        assert account["email"] == credentials["email"].lower()
        age = datetime.now(UTC) - datetime.fromisoformat(account["created_at"])
        assert abs(age) < timedelta(minutes=5)
    assert shown[0]["id"] != shown[1]["id"]


def test_password_change_replaces_the_password(app: Any, fresh: Any) -> None:
    credentials, new = _register(app, fresh), fresh.password()

    response = _change(app, _login(app, credentials), credentials["password"], new)

    assert response.status == 204
    assert app.post("/login", json=credentials).status == 401
    assert app.post("/login", json={**credentials, "password": new}).status == 200


def test_password_change_revokes_every_session(app: Any, fresh: Any) -> None:
    credentials, bystander = _register(app, fresh), _login(app, _register(app, fresh))
    sessions = [_login(app, credentials) for _ in range(3)]

    assert _change(app, sessions[0], credentials["password"], fresh.password()).status == 204

    for tokens in sessions:
        assert app.get("/me", headers=_bearer(tokens)).status == 401
        spent = app.post("/refresh", json={"refresh_token": tokens["refresh_token"]})
        assert spent.status == 401
    assert app.get("/me", headers=_bearer(bystander)).status == 200


def test_password_change_needs_the_current_and_a_strong_new_password(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)
    tokens, current = _login(app, credentials), credentials["password"]

    guessed = _change(app, tokens, fresh.password(), fresh.password())
    assert (guessed.status, guessed.json()["code"]) == (403, "wrong-password")
    for weak in (fresh.password()[:11], "a" * 20, current):
        refused = _change(app, tokens, current, weak)
        assert (refused.status, refused.json()["code"]) == (422, "weak-password")

    assert app.get("/me", headers=_bearer(tokens)).status == 200
    assert app.post("/login", json=credentials).status == 200


def test_password_change_cannot_be_used_to_guess_the_password(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)
    tokens = _login(app, credentials)

    guesses = [_change(app, tokens, fresh.password(), fresh.password()).status for _ in range(5)]

    assert guesses == [403] * 5
    assert _change(app, tokens, credentials["password"], fresh.password()).status == 429
    assert app.post("/login", json=credentials).status == 429


def test_audit_log_records_what_happened_to_the_account(app: Any, fresh: Any) -> None:
    credentials, new = _register(app, fresh), fresh.password()
    app.post("/login", json={**credentials, "password": fresh.password()})
    copied = _login(app, credentials)["refresh_token"]
    for _ in range(2):
        app.post("/refresh", json={"refresh_token": copied})
    left = _login(app, credentials)["refresh_token"]
    app.post("/logout", json={"refresh_token": left})
    _change(app, _login(app, credentials), fresh.password(), new)
    _change(app, _login(app, credentials), credentials["password"], new)
    reader = _login(app, {**credentials, "password": new})

    story = _actions(app, reader)

    assert story[::-1] == [
        "registered",
        "login_failed",
        "logged_in",
        "refreshed",
        "refresh_reused",
        "logged_in",
        "logged_out",
        "logged_in",
        "password_change_failed",
        "logged_in",
        "password_changed",
        "logged_in",
    ]
    for event in _events(app, reader)["events"]:
        age = datetime.now(UTC) - datetime.fromisoformat(event["at"])
        assert abs(age) < timedelta(minutes=5)
        assert set(event) == {"id", "action", "at", "ip"}


def test_audit_log_records_a_lockout(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)
    tokens = _login(app, credentials)

    for _ in range(5):
        app.post("/login", json={**credentials, "password": fresh.password()})

    assert _actions(app, tokens)[:6] == ["locked", *["login_failed"] * 5]


def test_audit_log_is_private_to_its_account(app: Any, fresh: Any) -> None:
    mine = _login(app, _register(app, fresh))
    before = _events(app, mine)
    stranger = _register(app, fresh)
    theirs = _login(app, stranger)

    assert _events(app, mine) == before
    assert _actions(app, theirs) == ["logged_in", "registered"]
    known = {event["id"] for event in before["events"]}
    assert known.isdisjoint(event["id"] for event in _events(app, theirs)["events"])


def test_audit_log_is_read_in_pages(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)
    for _ in range(4):
        tokens = _login(app, credentials)
    everything = _events(app, tokens)
    assert everything["next"] is None

    pages = [_events(app, tokens, limit=2)]
    while pages[-1]["next"] is not None:
        pages.append(_events(app, tokens, limit=2, before=pages[-1]["next"]))
        assert len(pages) <= 3, "the pages do not end"

    assert [len(each["events"]) for each in pages] == [2, 2, 1]
    assert [event for each in pages for event in each["events"]] == everything["events"]
    for wrong in ({"limit": 0}, {"limit": 101}, {"before": 0}, {"before": 2**70}):
        response = app.get("/me/events", headers=_bearer(tokens), params=wrong)
        assert response.status == 422
