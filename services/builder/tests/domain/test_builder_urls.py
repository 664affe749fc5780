"""Which repositories may be cloned at all."""

from __future__ import annotations

import pytest
from worksite.builder.domain.urls import check_url, protocols
from worksite.common.errors import StepRefused


@pytest.mark.parametrize("url", ["https://example.com/x.git", "http://10.0.0.1:8080/x", "git://[::1]/x"])
def test_addresses_of_git_servers_are_allowed(url: str) -> None:
    check_url(url, allow_file=False)


def test_files_are_allowed_only_on_request() -> None:
    check_url("file:///srv/x.git", allow_file=True)
    with pytest.raises(StepRefused, match="file://"):
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
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(StepRefused) as refused:
        check_url(url, allow_file=True)

    assert refused.value.code == "url_refused"
    assert "pw" not in refused.value.detail


def test_git_is_told_the_same_list() -> None:
    assert protocols(allow_file=False) == "https:http:git"
    assert protocols(allow_file=True) == "https:http:git:file"
