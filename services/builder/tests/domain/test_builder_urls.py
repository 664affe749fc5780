"""Which repositories may be talked to at all."""

from __future__ import annotations

import pytest
from worksite.builder.domain.urls import Host, check_url, place_of, protocols
from worksite.common.errors import StepRefused


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Example.com/x.git", Host("example.com", 443)),
        ("http://10.0.0.1:8080/x", Host("10.0.0.1", 8080)),
        ("git://[::1]/x", Host("::1", 9418)),
        ("http://git_server/~ann/x", Host("git_server", 80)),
    ],
)
def test_a_git_server_is_allowed_and_named(url: str, host: Host) -> None:
    assert check_url(url, allow_file=False) == host


def test_files_are_allowed_only_on_request() -> None:
    assert check_url("file:///srv/x?y#z.git", allow_file=True) is None
    with pytest.raises(StepRefused, match=r"file:// .* ALLOW_FILE_URLS to clone and by ALLOW_FILE_PUSHES to push"):
        check_url("file:///srv/x.git", allow_file=False)


@pytest.mark.parametrize(
    "url",
    [
        "https://ann@example.com/x",
        "https://ann:pw@example.com/x",
        "https://:@example.com/x",
        "file://ann:pw@/srv/x",
        "ssh://example.com/x",
        "ext::sh -c id",
        "/srv/x",
        "--upload-pack=id",
        "https://",
        "https://-oProxyCommand=id/x",
        "https://example.com:port/x",
        "https://[::1/x",
        "https://[::1%25eth0]/x",
        "https://example.com\\.internal/x",
        "https://%31%32%37.0.0.1/x",
        "https://example.com./x",
        "https://bücher.example/x",
        "https://example.com:/x",
        "https://example.com/x?private_token=pw",
        "https://example.com/x#pw",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(StepRefused) as refused:
        check_url(url, allow_file=True)

    assert refused.value.code == "url_refused"
    assert "pw" not in refused.value.detail


@pytest.mark.parametrize(
    "url", ["http://[", "https://[::1/x", "https://h:port/x", "https://h:99999/x", "https://\u2100/x"]
)
def test_what_cannot_be_parsed_is_no_place(url: str) -> None:
    assert place_of(url) is None


def test_git_is_told_the_same_list() -> None:
    assert protocols(allow_file=False) == "https:http:git"
    assert protocols(allow_file=True) == "https:http:git:file"
