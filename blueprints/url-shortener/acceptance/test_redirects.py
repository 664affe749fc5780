"""Acceptance: what visitors meet."""

import time
from datetime import UTC, datetime
from typing import Any


def _lasting(shortener: Any) -> dict[str, Any]:
    """A link that ends soon; on a slow machine it takes some tries to create one in time."""
    for seconds in (1, 4, 16):
        response = shortener.post(expires_at=shortener.soon(seconds))
        if response.status == 201:
            return response.json()
        assert response.json()["code"] == "expiry-in-the-past", response
    raise AssertionError("no link could be created in time")


def _wait_for_the_end_of(link: dict[str, Any]) -> None:
    end = datetime.fromisoformat(link["expires_at"])
    while datetime.now(UTC) <= end:
        time.sleep(0.02)


def test_a_destination_is_sent_byte_for_byte(shortener: Any) -> None:
    unusual = [
        "HTTP://EXAMPLE.com:80/%7e/./a/../b//?a=1&a=2&b=%20+;c#!/%23",
        "https://example.com",
        "http://[2001:db8::7]/",
    ]

    for url in [shortener.url(), *unusual]:
        code = shortener.create(url=url)["code"]
        for query in ("", "?", "?utm=1&url=https://other.example/"):
            assert shortener.visit(f"{code}{query}").headers["location"] == url
        assert shortener.show(code)["url"] == url


def test_a_redirect_is_temporary_and_never_stored(shortener: Any) -> None:
    code = shortener.create()["code"]

    for method in ("GET", "HEAD"):
        response = shortener.app.request(method, f"/{code}")
        assert response.status == 307
        assert response.headers["cache-control"] == "no-store"
        assert "set-cookie" not in response.headers


def test_nothing_but_a_code_redirects(shortener: Any) -> None:
    code = shortener.create()["code"]
    paths = [f"/{code}/", f"//{code}", f"/{code}/x", f"/links/{code}/", "//other.example", "/https://other.example/"]
    paths += [f"/healthz/{code}", "/links/", "/healthz/", f"/{code}%2f", f"/{code}%20", f"/{code}.", "/"]

    for path in paths:
        for headers in ({}, {"host": "other.example"}, {"x-forwarded-host": "other.example"}):
            response = shortener.app.get(path, headers={**shortener.bearer, **headers})
            assert response.status == 404, (path, response)
            assert "location" not in response.headers


def test_a_disabled_link_leads_nowhere_until_it_is_enabled(shortener: Any) -> None:
    link = shortener.create()

    shortener.change(link["code"], enabled=False)
    assert shortener.visit(link["code"]).status == 410
    assert shortener.app.request("HEAD", f"/{link['code']}").status == 410
    shortener.change(link["code"], enabled=True)
    assert shortener.leads_to(link["code"]) == link["url"]


def test_an_expired_link_leads_nowhere(shortener: Any) -> None:
    lasting = shortener.create(expires_at=shortener.soon())
    link = _lasting(shortener)
    before = shortener.leads_to(link["code"])
    if datetime.now(UTC) < datetime.fromisoformat(link["expires_at"]):  # else the machine was too slow to see it
        assert before == link["url"]
    _wait_for_the_end_of(link)

    assert shortener.visit(link["code"]).status == 410
    assert shortener.app.request("HEAD", f"/{link['code']}").status == 410
    assert shortener.show(link["code"])["state"] == "expired"
    assert shortener.listed(state="expired") == [link["code"]]
    assert shortener.leads_to(lasting["code"]) == lasting["url"]
    revived = shortener.change(link["code"], expires_at=None)
    assert (revived["state"], shortener.leads_to(link["code"])) == ("active", link["url"])


def test_an_expiry_is_a_time_in_the_future(shortener: Any) -> None:
    link = shortener.create()
    malformed = ["tomorrow", "2999-01-01", "2999-01-01T00:00:00", "2999-13-01T00:00:00Z", "", 32472144000, True]

    for wrong, code in [
        *((each, "invalid-request") for each in malformed),
        *((each, "expiry-in-the-past") for each in (shortener.soon(-1), "2000-01-01T00:00:00Z")),
    ]:
        created = shortener.post(expires_at=wrong)
        changed = shortener.manage("PATCH", f"/links/{link['code']}", json={"expires_at": wrong})
        assert [(each.status, each.json()["code"]) for each in (created, changed)] == [(422, code)] * 2, wrong
    assert shortener.show(link["code"]) == link


def test_visitors_do_not_learn_why_a_link_has_ended(shortener: Any) -> None:
    disabled, deleted = shortener.create(), shortener.create()
    expired = _lasting(shortener)
    shortener.change(disabled["code"], enabled=False)
    shortener.delete(deleted["code"])
    _wait_for_the_end_of(expired)

    answers = [shortener.visit(link["code"]) for link in (disabled, deleted, expired)]

    assert {(each.status, each.content) for each in answers} == {(410, answers[0].content)}
    assert answers[0].json()["code"] == "link-gone"
    assert {each.headers["cache-control"] for each in answers} == {"no-store"}
    assert not any("location" in each.headers for each in answers)


def test_a_code_that_no_link_has_is_not_found(shortener: Any, fresh: Any) -> None:
    for code in (fresh.word(), "x" * 5000, "%00", "%ff%fe", "ü", "a b", "."):
        response = shortener.visit(code)
        assert (response.status, response.json()["code"]) == (404, "unknown-link")
        assert response.headers["cache-control"] == "no-store"
