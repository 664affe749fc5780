"""Whom the client of the forge talks to."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence

import httpx
import pytest
from worksite.builder.domain.credentials import Credential
from worksite.builder.domain.merge_requests import MergeRequest
from worksite.builder.domain.routes import pinned_http
from worksite.builder.domain.urls import Host
from worksite.builder.gitlab import GitLab
from worksite.builder.remote import Limits, RemoteUnavailable
from worksite.builder.testing import answering
from worksite.common.errors import StepRefused

pytestmark = pytest.mark.asyncio
STRICT = Limits(
    max_bytes=1 << 20, max_upload_bytes=1 << 20, timeout_seconds=30, allow_file_urls=False, allow_private_hosts=False
)
OURS = Limits(
    max_bytes=1 << 20, max_upload_bytes=1 << 20, timeout_seconds=30, allow_file_urls=False, allow_private_hosts=True
)


WANTED = MergeRequest(task="0" * 32, source="b", target="main", head="0" * 40, title="t", description="")


def gitlab(address: str, limits: Limits, *addresses: str) -> GitLab:
    credential = Credential.model_validate({"url": f"{address}/", "tenants": "*", "token": "glpat-for-tests"})
    return GitLab(credential, "team/app", limits, _lookup(*addresses))


async def test_a_forge_at_a_private_address_is_refused_before_anybody_talks_to_it() -> None:
    with answering(200, body="[]") as (address, asked):
        with pytest.raises(StepRefused, match="public internet"):
            await gitlab(address, STRICT, "8.8.8.8", "127.0.0.1").find(WANTED)

    assert asked == []


async def test_a_redirect_is_not_followed() -> None:
    """It would carry the token to another host."""
    with answering(200, body="[]") as (inside, asked), answering(302, location=inside) as (outside, _):
        with pytest.raises(StepRefused) as refused:
            await gitlab(outside, OURS).find(WANTED)

    assert refused.value.code == "merge_request_refused"
    assert asked == []


async def test_a_list_without_an_end_is_not_read_for_ever() -> None:
    one = {"web_url": "https://m/1", "state": "opened", "source_branch": "b", "target_branch": "main"}
    page = json.dumps([one | {"source_project_id": None, "target_project_id": 1}] * 100)
    with answering(200, body=page) as (address, asked):
        with pytest.raises(RemoteUnavailable, match="more than 2000"):
            await gitlab(address, OURS).find(WANTED)

    assert len(asked) == 20


async def test_a_forge_that_is_not_there_is_tried_again() -> None:
    with answering(200) as (address, _):
        pass

    with pytest.raises(RemoteUnavailable):
        await gitlab(address, OURS).find(WANTED)


async def test_a_request_goes_to_the_address_that_was_checked_under_the_hosts_name() -> None:
    """The name cannot be looked up by anybody (RFC 6761)."""
    with answering(200, body="[]") as (address, asked):
        port = int(address.rpartition(":")[2])
        route = pinned_http(f"http://git.invalid:{port}/api/v4/x", Host("git.invalid", port), ["127.0.0.1"])
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(route.url, headers=dict(route.headers), extensions=dict(route.extensions))

    assert answer.status_code == 200
    assert answer.request.headers["Host"] == f"git.invalid:{port}"
    assert route.extensions == {"sni_hostname": "git.invalid"}
    assert asked == ["/api/v4/x"]


async def test_an_address_of_ipv6_stands_in_brackets() -> None:
    route = pinned_http("https://git.example/api/v4/x?a=b", Host("git.example", 443), ["2606:4700::1"])

    assert route.url == "https://[2606:4700::1]:443/api/v4/x?a=b"


def _lookup(*addresses: str) -> Callable[[Host], Awaitable[Sequence[str]]]:
    async def lookup(_: Host) -> Sequence[str]:
        return addresses

    return lookup
