"""Acceptance: which destinations are let in. What is refused is not stored."""

from typing import Any


def _refuse_all(shortener: Any, code: str, urls: list[str]) -> None:
    before = shortener.listed()
    for url in urls:
        refused = shortener.post(url=url)
        assert (refused.status, refused.json()["code"]) == (422, code), url
    assert shortener.listed() == before


def test_only_http_and_https_are_let_in(shortener: Any) -> None:
    others = [
        "javascript:alert(1)",
        "JavaScript://example.com/%0aalert(1)",
        "data:text/html,x",
        "vbscript:x",
        "ftp://a.example/",
    ]
    others += [
        "file:///etc/passwd",
        "//example.com/",
        "/links",
        "example.com",
        "https:example.com",
        "https:/example.com",
        "",
    ]
    others += [" https://example.com/", "\thttps://example.com/", "httpss://example.com/", "blob:https://example.com/x"]

    _refuse_all(shortener, "invalid-url", others)
    for url in ("http://example.com/", "https://example.com/", "HtTpS://example.com/"):
        assert shortener.leads_to(shortener.create(url=url)["code"]) == url


def test_a_url_with_user_name_or_password_is_refused(shortener: Any) -> None:
    with_user = ["https://user@example.com/", "https://user:secret@example.com/", "https://:secret@example.com/"]
    with_user += [
        "https://@example.com/",
        "https://short.example:x@other.example/",
        "http://a%40b@example.com",
        "http://a@b@c.example",
    ]

    _refuse_all(shortener, "invalid-url", with_user)
    assert shortener.post(url="https://example.com/@user?mail=a@b.example").status == 201


def test_a_url_that_programs_could_read_differently_is_refused(shortener: Any) -> None:
    odd = ["https://example.com\\@other.example/", "https://example.com\\.other.example/", "https://exa\tmple.com/"]
    odd += [
        "https://example.com/ x",
        "https://example.com/\n",
        "https://example.com/\r\nSet-Cookie: a=b",
        "https://a.example/\x00",
    ]
    odd += [
        "https://bücher.example/",
        "https://example.com/ü",
        "https://example.com/<b>",
        'https://example.com/"',
        "https://",
    ]
    odd += ["https:///path", "https://?q", "https://-a.example/", "https://a..example/", "https://%65xample.com/"]
    odd += [
        "https://example.com:65536/",
        "https://example.com:port/",
        "https://example.com:-1/",
        "http://[::1/",
        "http://[x]/",
    ]
    odd += [
        "http://127.1/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.0.0.1/",
        "http://127.0.0.01/",
        "http://1.2.3.256/",
    ]

    _refuse_all(shortener, "invalid-url", odd)


def test_a_url_beyond_the_limit_is_refused(shortener: Any, start: Any) -> None:
    for each, limit in ((shortener, 2048), (start(max_url_length=100), 100)):
        longest = "https://example.com/".ljust(limit, "x")
        link = each.create(url=longest)
        assert each.leads_to(link["code"]) == longest
        _refuse_all(each, "invalid-url", [longest + "x"])


def test_a_link_to_the_service_itself_is_refused(shortener: Any) -> None:
    code = shortener.create()["code"]
    own = [
        f"https://short.example/{code}",
        "http://short.example",
        "https://SHORT.example:8443/",
        "https://short.example./x",
    ]

    _refuse_all(shortener, "own-url", own)
    for url in (
        "https://short.example.com/",
        "https://notshort.example/",
        "https://a.example/?u=https://short.example/",
    ):
        assert shortener.post(url=url).status == 201


def test_a_denied_host_is_refused_with_its_subdomains_however_it_is_written(shortener: Any) -> None:
    denied = [
        "https://evil.example/",
        "http://EVIL.Example:8080/x",
        "https://evil.example./",
        "https://very.evil.example/",
    ]
    denied += [
        "http://192.0.2.1/",
        "https://192.0.2.1:8443/",
        "http://[::ffff:192.0.2.1]/",
        "http://[::ffff:c000:0201]/",
    ]
    denied += ["http://[2001:db8::bad]/", "http://[2001:0DB8:0:0:0:0:0:0bad]/"]

    _refuse_all(shortener, "denied-host", denied)
    for url in (
        "https://notevil.example/",
        "https://evil.example.com/",
        "http://192.0.2.2/",
        "https://a.example/evil.example",
    ):
        assert shortener.post(url=url).status == 201
