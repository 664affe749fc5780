"""Acceptance: what holds for the service as a whole."""

from typing import Any

ENDPOINTS = {
    ("/register", "post"),
    ("/login", "post"),
    ("/refresh", "post"),
    ("/logout", "post"),
    ("/me", "get"),
    ("/me/password", "post"),
    ("/me/events", "get"),
    ("/healthz", "get"),
}


def _register(app: Any, fresh: Any) -> dict[str, str]:
    credentials = {"email": fresh.email(), "password": fresh.password()}
    assert app.post("/register", json=credentials).status == 201
    return credentials


def test_everything_survives_a_restart(launch: Any, fresh: Any) -> None:
    app = launch()
    credentials, locked = _register(app, fresh), _register(app, fresh)
    alive, spent, ended = (app.post("/login", json=credentials).json() for _ in range(3))
    assert app.post("/refresh", json={"refresh_token": spent["refresh_token"]}).status == 200
    assert app.post("/logout", json={"refresh_token": ended["refresh_token"]}).status == 204
    for _ in range(5):
        app.post("/login", json={**locked, "password": fresh.password()})
    bearer = {"authorization": f"Bearer {alive['access_token']}"}
    me, events = (app.get(path, headers=bearer).json() for path in ("/me", "/me/events"))

    app.restart()

    assert app.get("/me", headers=bearer).json() == me
    assert app.get("/me/events", headers=bearer).json() == events
    assert app.post("/login", json=credentials).status == 200
    assert app.post("/login", json={**credentials, "password": fresh.password()}).status == 401
    assert app.post("/login", json=locked).status == 429
    assert app.post("/register", json=credentials).status == 409
    assert app.post("/refresh", json={"refresh_token": alive["refresh_token"]}).status == 200
    assert app.post("/refresh", json={"refresh_token": spent["refresh_token"]}).status == 401
    assert app.post("/refresh", json={"refresh_token": ended["refresh_token"]}).status == 401


def test_openapi_describes_every_endpoint(app: Any) -> None:
    document = app.get("/openapi.json")

    assert document.status == 200
    assert document.json()["openapi"].startswith("3.")
    paths = document.json()["paths"]
    described = {(path, method) for path, methods in paths.items() for method in methods}
    assert described == ENDPOINTS
    for path, method in ENDPOINTS:
        assert paths[path][method]["description"]
    browser = app.get("/docs")
    assert browser.status == 200
    assert browser.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in browser.text


def test_health_endpoint_answers(app: Any) -> None:
    response = app.get("/healthz")

    assert response.status == 200
    assert response.json() == {"status": "ok"}


def test_every_error_is_a_problem_document(app: Any, fresh: Any) -> None:
    credentials = _register(app, fresh)
    wrong = {**credentials, "password": fresh.password()}
    weak = {"email": fresh.email(), "password": "a"}
    failures = [app.post("/login", json=wrong) for _ in range(6)]
    errors = [
        (401, failures[0]),
        (429, failures[5]),
        (401, app.get("/me")),
        (401, app.post("/refresh", json={"refresh_token": fresh.word()})),
        (404, app.get(f"/{fresh.word()}")),
        (405, app.delete("/login")),
        (409, app.post("/register", json=credentials)),
        (422, app.post("/register", json=weak)),
        (422, app.post("/login", json={})),
    ]

    for status, response in errors:
        assert response.status == status
        assert response.headers["content-type"].startswith("application/problem+json")
        problem = response.json()
        assert problem["status"] == status
        for member in ("type", "title", "code", "detail"):
            assert type(problem[member]) is str
            assert problem[member]


def test_settings_come_from_the_environment(launch: Any, fresh: Any) -> None:
    app = launch(
        env={
            "AUTH_DATABASE_URL": f"sqlite:///./{fresh.word()}.db",
            "AUTH_PASSWORD_MIN_LENGTH": "24",
            "AUTH_LOCKOUT_ATTEMPTS": "1",
            "AUTH_ACCESS_TOKEN_SECONDS": "123",
        }
    )
    email, password = fresh.email(), (fresh.password() * 2)[:24]

    short = app.post("/register", json={"email": email, "password": password[:23]})
    assert short.status == 422
    assert app.post("/register", json={"email": email, "password": password}).status == 201
    tokens = app.post("/login", json={"email": email, "password": password})
    assert tokens.json()["expires_in"] == 123
    statuses = [app.post("/login", json={"email": email, "password": fresh.password()}).status for _ in range(2)]
    assert statuses == [401, 429]
