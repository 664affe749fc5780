"""Acceptance: what holds for the service as a whole."""

from typing import Any

ENDPOINTS = {
    ("/links", "post"),
    ("/links", "get"),
    ("/links/{code}", "get"),
    ("/links/{code}", "patch"),
    ("/links/{code}", "delete"),
    ("/links/{code}/statistics", "get"),
    ("/healthz", "get"),
    ("/{code}", "get"),
    ("/{code}", "head"),
}


def test_everything_survives_a_restart(start: Any) -> None:
    shortener = start()
    alias, disabled, deleted = shortener.create(alias=shortener.word()), shortener.create(), shortener.create()
    for _ in range(2):
        shortener.visit(alias["code"])
    shortener.change(disabled["code"], enabled=False)
    shortener.delete(deleted["code"])
    codes = [alias["code"], disabled["code"]]
    before = [(shortener.show(code), shortener.statistics(code)["clicks"]) for code in codes]

    shortener.app.restart()

    assert [(shortener.show(code), shortener.statistics(code)["clicks"]) for code in codes] == before
    assert shortener.leads_to(alias["code"]) == alias["url"]
    assert [shortener.visit(each["code"]).status for each in (disabled, deleted)] == [410, 410]
    assert [shortener.post(alias=each["code"]).status for each in (alias, deleted)] == [409, 409]
    assert shortener.show(alias["code"])["clicks"] == 3


def test_openapi_describes_every_endpoint(app: Any) -> None:
    document = app.get("/openapi.json")

    assert document.status == 200
    assert document.json()["openapi"].startswith("3.")
    paths = document.json()["paths"]
    described = {(path, method) for path, methods in paths.items() for method in methods}
    assert described == ENDPOINTS
    for path, method in ENDPOINTS:
        assert paths[path][method]["description"]
        assert bool(paths[path][method].get("security")) == path.startswith("/links")
    link = document.json()["components"]["schemas"]["LinkIn"]
    assert (set(link["properties"]), link["required"]) == ({"url", "alias", "expires_at"}, ["url"])
    browser = app.get("/docs")
    assert browser.status == 200
    assert browser.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in browser.text


def test_health_endpoint_answers(app: Any) -> None:
    response = app.get("/healthz")

    assert response.status == 200
    assert response.json() == {"status": "ok"}


def test_a_body_beyond_the_limit_or_of_another_kind_is_refused(start: Any) -> None:
    shortener = start(max_body_bytes=500)
    url = shortener.url()
    largest = f'{{"url": "{url}"}}'.ljust(500)

    def status(body: bytes, kind: str = "application/json") -> int:
        headers = {**shortener.bearer, "content-type": kind}
        return shortener.app.post("/links", content=body, headers=headers).status

    assert status(largest.encode()) == 201
    assert status(f"{largest} ".encode()) == 413
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert status(largest.encode(), kind) == 415
    for malformed in (b"{", b"\xff", b"[" * 400, b"url=https://example.com/"):
        assert status(malformed) == 400
    assert len(shortener.listed()) == 1


def test_every_error_is_a_problem_document(shortener: Any, fresh: Any) -> None:
    app, link = shortener.app, shortener.create()
    ended = shortener.create()
    shortener.delete(ended["code"])
    errors = [
        (400, app.post("/links", content="{", headers={**shortener.bearer, "content-type": "application/json"})),
        (401, app.get("/links")),
        (401, app.get(f"/links/{link['code']}/statistics")),
        (404, app.get(f"/{fresh.word()}")),
        (404, app.get(f"/{fresh.word()}/{fresh.word()}")),
        (404, shortener.manage("GET", f"/links/{fresh.word()}")),
        (405, app.post(f"/{link['code']}")),
        (405, app.delete("/links")),
        (409, shortener.post(alias=link["code"])),
        (410, shortener.visit(ended["code"])),
        (413, shortener.post(url="https://example.com/" + "x" * 20_000)),
        (415, app.post("/links", content="{}", headers=shortener.bearer)),
        (422, shortener.post(url="javascript:alert(1)")),
        (422, shortener.post(alias="-")),
        (422, shortener.manage("GET", "/links", params={"limit": 0})),
    ]

    for status, response in errors:
        assert response.status == status, response
        assert response.headers["content-type"].startswith("application/problem+json")
        problem = response.json()
        assert problem["status"] == status
        for member in ("type", "title", "code", "detail"):
            assert type(problem[member]) is str
            assert problem[member]
