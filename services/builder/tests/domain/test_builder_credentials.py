"""Which token opens which repository, for whom; and that none is ever shown."""

from __future__ import annotations

import json

import pytest
from worksite.builder.domain.credentials import Credential, chosen, parse
from worksite.builder.domain.redaction import presentable
from worksite.builder.settings import BuilderSettings

TOKEN = "glpat-0123456789"


def credential(url: str, **changes: object) -> Credential:
    return Credential.model_validate({"url": url, "tenants": "*", "token": TOKEN} | changes)


@pytest.mark.parametrize(
    ("above", "url"),
    [
        ("https://git.example/", "https://git.example/team/app.git"),
        ("https://git.example", "https://git.example:443/team/app.git"),
        ("https://GIT.example/team", "https://git.example/team/app.git"),
        ("https://git.example:8443/team/", "https://git.example:8443/team/sub/app.git"),
        ("http://[::1]:3000/", "http://[::1]:3000/team/app.git"),
    ],
)
def test_a_token_opens_what_lies_below_its_url(above: str, url: str) -> None:
    assert chosen([credential(above)], "acme", url)


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example/team-b/app.git",
        "https://git.example/teams/app.git",
        "https://git.example/other/../team/app.git",
        "https://git.example/team/../other/app.git",
        "https://git.example/team/%2e%2e/other/app.git",
        "https://git.example/team/./../other/app.git",
        "https://git.example.evil.org/team/app.git",
        "https://git.example:444/team/app.git",
        "http://git.example/team/app.git",
        "https://git.example@evil.org/team/app.git",
        "file:///team/app.git",
        "http://[",
        "https://git.example:port/team/app.git",
    ],
)
def test_a_token_goes_nowhere_else(url: str) -> None:
    assert chosen([credential("https://git.example/team/")], "acme", url) is None


def test_a_token_is_used_for_its_tenants_alone() -> None:
    ours = [credential("https://git.example/", tenants=["acme", "beta"])]

    assert chosen(ours, "beta", "https://git.example/a.git")
    assert chosen(ours, "gamma", "https://git.example/a.git") is None


def test_of_several_the_longest_url_wins() -> None:
    all_of_it, team = credential("https://git.example/"), credential("https://git.example/team/")

    assert chosen([all_of_it, team], "acme", "https://git.example/team/app.git") is team
    assert chosen([team, all_of_it], "acme", "https://git.example/app.git") is all_of_it


def test_the_longest_is_counted_in_parts_of_the_path() -> None:
    all_of_it, team = credential("https://git.example:443/"), credential("https://git.example/t")

    assert chosen([all_of_it, team], "acme", "https://git.example/t/app.git") is team


def test_the_api_is_on_the_same_host_unless_it_is_named() -> None:
    assert credential("https://git.example/team/").api_url == "https://git.example/api/v4"
    named = credential("https://git.example/lab/", api="https://git.example/lab/api/v4/")
    assert named.api_url == "https://git.example/lab/api/v4"


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"url": "https://ann:pw12345678@git.example/"}, "0.url"),
        ({"url": "ssh://git.example/"}, "0.url"),
        ({"url": "https://git.example/a/../b"}, "0.url"),
        ({"tenants": []}, "0.tenants"),
        ({"token": "short"}, "0.token"),
        ({"token": f"{TOKEN}\n"}, "0.token"),
        ({"token": f"{TOKEN} x"}, "0.token"),
        ({"token": f"{TOKEN}é"}, "0.token"),
        ({"username": "a:b"}, "0.username"),
        ({"username": "a\n"}, "0.username"),
        ({"username": "é"}, "0.username"),
        ({"url": "http://["}, "0.url"),
        ({"scope": "api"}, "0.scope"),
    ],
)
def test_what_is_wrong_is_named_without_repeating_it(entry: dict[str, object], says: str) -> None:
    text = json.dumps([{"url": "https://git.example/", "tenants": "*", "token": TOKEN} | entry])

    with pytest.raises(ValueError, match=says) as refused:
        parse(text)
    assert TOKEN not in str(refused.value)
    assert "pw12345678" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "{}", "[", '[{"token": "glpat-0123456789"'])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse(text)
    assert TOKEN not in str(refused.value)


def test_a_token_is_not_sent_in_the_clear_unless_the_network_is_ours() -> None:
    text = json.dumps([{"url": "http://git.example/", "tenants": "*", "token": TOKEN}])

    with pytest.raises(ValueError, match="must be https"):
        BuilderSettings(git_credentials=text)  # pyright: ignore[reportArgumentType]
    assert BuilderSettings(git_credentials=text, allow_private_hosts=True).credentials()  # pyright: ignore[reportArgumentType]


def test_a_credential_shows_its_token_to_nobody() -> None:
    one = credential("https://git.example/")
    settings = BuilderSettings(git_credentials=json.dumps([{"url": one.url, "tenants": "*", "token": TOKEN}]))  # pyright: ignore[reportArgumentType]

    assert TOKEN not in f"{one!r} {settings!r} {one.model_dump_json()}"


def test_what_is_shown_has_no_secret_in_it_not_even_a_part_of_one() -> None:
    one = credential("https://git.example/")
    encoded = one.secrets[1]
    said = f"{TOKEN} {encoded}" + "x" * 490 + f" {TOKEN}"

    shown = presentable(said, one.secrets)

    assert shown.endswith("x ***")
    assert TOKEN[-4:] not in shown
