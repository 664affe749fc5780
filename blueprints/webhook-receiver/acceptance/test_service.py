"""Acceptance: what holds for the service as a whole."""

import time
from typing import Any

ENDPOINTS = {
    ("/webhooks/{source}", "post"),
    ("/deliveries", "get"),
    ("/deliveries/{id}", "get"),
    ("/dead-letters", "get"),
    ("/dead-letters", "delete"),
    ("/dead-letters/redrive", "post"),
    ("/dead-letters/{id}", "delete"),
    ("/dead-letters/{id}/redrive", "post"),
    ("/healthz", "get"),
}


def test_everything_survives_a_restart(start: Any, fresh: Any) -> None:
    receiver = start(retry_base_seconds=3600, retry_max_seconds=3600)
    handled = receiver.until(receiver.wish(note=fresh.word())["id"], "handled")
    dead = receiver.until(receiver.wish(reject=1)["id"], "dead")
    purged = receiver.until(receiver.wish(reject=1, note=fresh.word())["id"], "dead")
    waiting = receiver.wish(fail=1)
    end = time.monotonic() + 15
    while not receiver.show(waiting["id"])["error"]:
        assert time.monotonic() < end, "the attempt never failed"
        time.sleep(0.03)
    assert receiver.admin("DELETE", f"/dead-letters/{purged['id']}").status == 204
    before = {each["id"]: receiver.show(each["id"]) for each in (handled, dead, purged, waiting)}

    receiver.app.restart()

    answers = [receiver.redeliver(each) for each in (handled, dead, purged)]
    assert [each.status for each in answers] == [202, 202, 202]
    assert [each.json()["received_at"] for each in answers] == [each["received_at"] for each in (handled, dead, purged)]
    receiver.until(receiver.wish()["id"], "handled")
    assert {identity: receiver.show(identity) for identity in before} == before
    assert receiver.post(handled["delivery_id"], b"other").status == 409
    assert receiver.admin("POST", f"/dead-letters/{dead['id']}/redrive").status == 202
    receiver.until(dead["id"], "handled")


def test_openapi_describes_every_endpoint(app: Any) -> None:
    document = app.get("/openapi.json")

    assert document.status == 200
    assert document.json()["openapi"].startswith("3.")
    paths = document.json()["paths"]
    described = {(path, method) for path, methods in paths.items() for method in methods}
    assert described == ENDPOINTS
    for path, method in ENDPOINTS:
        assert paths[path][method]["description"]
    headers = {each["name"] for each in paths["/webhooks/{source}"]["post"]["parameters"] if each["in"] == "header"}
    assert headers == {"webhook-id", "webhook-timestamp", "webhook-signature"}
    browser = app.get("/docs")
    assert browser.status == 200
    assert browser.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in browser.text


def test_health_endpoint_answers(app: Any) -> None:
    response = app.get("/healthz")

    assert response.status == 200
    assert response.json() == {"status": "ok"}


def test_every_error_is_a_problem_document(receiver: Any, fresh: Any) -> None:
    app, handled = receiver.app, receiver.until(receiver.wish()["id"], "handled")
    errors = [
        (401, app.post("/webhooks/billing", content="{}")),
        (401, receiver.post(receiver.id(), timestamp=1)),
        (401, app.get("/deliveries")),
        (404, app.post(f"/webhooks/{fresh.word()}", content="{}")),
        (404, app.get(f"/{fresh.word()}")),
        (404, receiver.admin("GET", f"/deliveries/{2**62}")),
        (405, app.get("/webhooks/billing")),
        (409, receiver.post(handled["delivery_id"], b"other")),
        (409, receiver.admin("DELETE", f"/dead-letters/{handled['id']}")),
        (413, receiver.post(receiver.id(), bytes(1024 * 1024 + 1))),
        (422, receiver.admin("GET", "/deliveries", limit=0)),
    ]

    for status, response in errors:
        assert response.status == status
        assert response.headers["content-type"].startswith("application/problem+json")
        problem = response.json()
        assert problem["status"] == status
        for member in ("type", "title", "code", "detail"):
            assert type(problem[member]) is str
            assert problem[member]
