"""Acceptance: links as the owner of the token creates, lists, changes and deletes them."""

from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

CHARACTERS = set("abcdefghjkmnpqrstuvwxyz23456789")
ENDPOINTS = [
    ("POST", "/links"),
    ("GET", "/links"),
    ("GET", "/links/{}"),
    ("PATCH", "/links/{}"),
    ("DELETE", "/links/{}"),
    ("GET", "/links/{}/statistics"),
]


def test_a_url_becomes_a_short_link_that_leads_to_it(shortener: Any) -> None:
    url, before = shortener.url(), datetime.now(UTC)

    response = shortener.post(url=url)

    link = response.json()
    assert response.status == 201
    assert response.headers["location"] == f"/links/{link['code']}"
    assert link["short_url"] == f"https://short.example/{link['code']}"
    assert (link["url"], link["state"], link["clicks"], link["expires_at"]) == (url, "active", 0, None)
    assert before <= datetime.fromisoformat(link["created_at"]) <= datetime.now(UTC)
    assert shortener.leads_to(link["code"]) == url


def test_random_codes_are_neither_counted_up_nor_repeated(shortener: Any, start: Any) -> None:
    calls = [shortener.call() for _ in range(10)]
    answers = [answer for _ in range(10) for answer in shortener.app.concurrently(calls)]
    codes = [answer.json()["code"] for answer in answers]
    other = start()
    others = [other.create()["code"] for _ in range(5)]

    assert len({*codes, *others}) == 105
    assert {len(code) for code in codes} == {10}
    assert set("".join(codes)) <= CHARACTERS
    # 100 draws of 31 characters miss 1.2 of them on average, and meet the code before in 32 of 990 places. That chance
    # alone brings either number to its bound is less likely than a broken machine.
    for place in range(10):
        assert len({code[place] for code in codes}) >= 19
    same = sum(one == other for before, after in pairwise(codes) for one, other in zip(before, after, strict=True))
    assert same < 90


def test_random_codes_have_the_configured_length(start: Any) -> None:
    shortener = start(code_length=17)

    assert {len(shortener.create()["code"]) for _ in range(3)} == {17}


def test_an_alias_leads_to_its_destination_in_any_case(shortener: Any) -> None:
    for alias in (shortener.word(), "a" * 50, "x_Y-9", "abc"):
        link = shortener.create(alias=alias)

        assert link["code"] == alias.lower()
        assert link["short_url"] == f"https://short.example/{alias.lower()}"
        for spelling in (alias, alias.upper(), alias.lower()):
            assert shortener.leads_to(spelling) == link["url"]
            assert shortener.show(spelling) | {"clicks": 0} == link


def test_an_alias_that_is_taken_is_refused_and_the_first_link_stands(shortener: Any) -> None:
    link = shortener.create(alias=shortener.word())
    random = shortener.create()

    for taken in (link["code"], link["code"].upper(), random["code"]):
        refused = shortener.post(alias=taken)
        assert (refused.status, refused.json()["code"]) == (409, "alias-taken")
    assert shortener.show(link["code"]) == link
    assert shortener.leads_to(link["code"]) == link["url"]
    assert shortener.leads_to(random["code"]) == random["url"]


def test_of_parallel_requests_for_one_alias_exactly_one_gets_it(shortener: Any) -> None:
    for _ in range(3):
        alias = shortener.word()
        urls = [shortener.url() for _ in range(8)]

        answers = shortener.app.concurrently([shortener.call(url=url, alias=alias) for url in urls])

        assert sorted(answer.status for answer in answers) == [201, *[409] * 7]
        [given] = [url for url, answer in zip(urls, answers, strict=True) if answer.status == 201]
        assert shortener.leads_to(alias) == given


def test_an_alias_that_is_no_word_is_refused(shortener: Any) -> None:
    before = shortener.listed()

    for alias in ("", "ab", "a" * 51, "-abc", "abc-", "_abc", "a b", "a/b", "../x", "a.b", "a%2fb", "ünf", "abc\n", 7):
        refused = shortener.post(alias=alias)
        assert (refused.status, refused.json()["code"]) == (422, "invalid-request"), alias
    assert shortener.listed() == before


def test_no_alias_takes_the_place_of_the_services_own_paths(shortener: Any) -> None:
    for own in ("links", "healthz", "docs", "redoc", "Links", "HEALTHZ"):
        refused = shortener.post(alias=own)
        assert (refused.status, refused.json()["code"]) == (409, "alias-taken")
    assert shortener.app.get("/healthz").json() == {"status": "ok"}


def test_links_are_listed_newest_first_in_pages(start: Any) -> None:
    shortener = start()
    made = [shortener.create()["code"] for _ in range(5)]

    for limit, sizes in ((1, [1] * 5), (2, [2, 2, 1]), (4, [4, 1]), (100, [5])):
        pages = list(shortener.pages(limit=limit))
        assert [code for page in pages for code in page] == made[::-1]
        assert [len(page) for page in pages if page] == sizes
    shortener.delete(made[2])
    assert shortener.listed(before=made[2]) == [made[1], made[0]]
    assert shortener.manage("GET", "/links").json()["links"][-1] == shortener.show(made[0])
    for wrong in ({"limit": 0}, {"limit": 101}, {"limit": "x"}, {"before": "nowhere"}, {"state": "lost"}):
        assert shortener.manage("GET", "/links", params=wrong).status == 422


def test_links_are_listed_by_state(start: Any) -> None:
    shortener = start()
    active = [shortener.create()["code"], shortener.create(expires_at=shortener.soon())["code"]]
    disabled = [shortener.create()["code"] for _ in range(2)]
    for code in disabled:
        shortener.change(code, enabled=False)

    assert shortener.listed(state="active", limit=1) == active[::-1]
    assert shortener.listed(state="disabled") == disabled[::-1]
    assert shortener.listed(state="expired") == []


def test_a_change_leaves_alone_what_it_does_not_name(shortener: Any) -> None:
    link = shortener.create(expires_at="2999-01-01T00:00:00Z")

    assert shortener.change(link["code"]) == link
    assert shortener.change(link["code"], enabled=False) == {**link, "state": "disabled"}
    moved = shortener.change(link["code"], expires_at="2999-12-31T23:00:00-01:00")
    assert moved["state"] == "disabled"
    assert datetime.fromisoformat(moved["expires_at"]) == datetime(3000, 1, 1, tzinfo=UTC)
    assert shortener.change(link["code"], enabled=True) == {**moved, "state": "active"}
    assert shortener.change(link["code"], expires_at=None) == {**link, "expires_at": None}


def test_a_deleted_link_is_gone_for_everyone(shortener: Any) -> None:
    link, other = shortener.create(), shortener.create()
    shortener.visit(link["code"])

    shortener.delete(link["code"])

    for method, path in ENDPOINTS[2:]:
        body = {"json": {"enabled": True}} if method == "PATCH" else {}
        response = shortener.manage(method, path.format(link["code"]), **body)
        assert (response.status, response.json()["code"]) == (404, "not-found")
    listed = shortener.listed()
    assert (link["code"] in listed, other["code"] in listed) == (False, True)
    assert shortener.visit(link["code"]).status == 410
    assert shortener.leads_to(other["code"]) == other["url"]


def test_the_code_of_a_deleted_link_is_not_given_again(shortener: Any) -> None:
    for link in (shortener.create(alias=shortener.word()), shortener.create()):
        shortener.delete(link["code"])

        refused = shortener.post(alias=link["code"])

        assert (refused.status, refused.json()["code"]) == (409, "alias-taken")
        assert shortener.visit(link["code"]).status == 410


def test_management_needs_the_token(shortener: Any) -> None:
    link = shortener.create()
    right = shortener.bearer["authorization"]
    token = right.removeprefix("Bearer ")
    wrong = ["Bearer", "Bearer ", right[:-1], right + "x", right.upper(), token, f"Basic {token}", f"Bearer x{token}"]

    for method, path in ENDPOINTS:
        body = {"POST": {"url": shortener.url()}, "PATCH": {"enabled": False}}.get(method)
        for headers in [{}, *({"authorization": each} for each in wrong)]:
            parts = {"json": body, "headers": headers} if body else {"headers": headers}
            refused = shortener.app.request(method, path.format(link["code"]), **parts)
            assert (refused.status, refused.json()["code"]) == (401, "invalid-token"), (method, path, headers)
            assert refused.headers["www-authenticate"] == "Bearer"
    assert shortener.show(link["code"]) == link
    assert shortener.listed()[0] == link["code"]


def test_what_is_not_understood_is_refused_and_changes_nothing(shortener: Any) -> None:
    link = shortener.create()
    before = shortener.listed()
    posted = [{}, [], "https://example.com/", {"url": None}, {"url": 7}, {"url": ["https://example.com/"]}]
    posted += [
        {"url": shortener.url(), name: value} for name, value in (("owner", "me"), ("code", "mine"), ("alias", 1))
    ]
    patched = [[], {"enabled": None}, {"enabled": "no"}, {"enabled": 0}, {"url": shortener.url()}, {"code": "mine"}]

    answers = [shortener.manage("POST", "/links", json=each) for each in posted]
    answers += [shortener.manage("PATCH", f"/links/{link['code']}", json=each) for each in patched]

    assert {(each.status, each.json()["code"]) for each in answers} == {(422, "invalid-request")}
    assert shortener.show(link["code"]) == link
    assert shortener.listed() == before
