"""What git is told about where to connect."""

from __future__ import annotations

from worksite.builder.domain.routes import Route, pinned
from worksite.builder.domain.urls import Host

ADDRESSES = ("2606:4700::1", "8.8.8.8")


def test_a_web_address_keeps_its_name_and_gets_the_addresses() -> None:
    url = "https://git.example/x.git"

    route = pinned(url, Host("git.example", 443), ADDRESSES)

    assert route.url == url
    assert route.env["GIT_CONFIG_VALUE_0"] == "git.example:443:[2606:4700::1],8.8.8.8"


def test_a_git_address_is_rewritten_and_the_server_told_the_name() -> None:
    route = pinned("git://git.example/~ann/x.git", Host("git.example", 9418), ADDRESSES)

    assert route == Route("git://[2606:4700::1]:9418/~ann/x.git", {"GIT_OVERRIDE_VIRTUAL_HOST": "git.example"})


def test_a_literal_ipv6_address_needs_no_pin() -> None:
    assert pinned("https://[2606:4700::1]/x", Host("2606:4700::1", 443), ADDRESSES[:1]).env == {}
