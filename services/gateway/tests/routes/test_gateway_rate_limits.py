"""Who asks too often is told to wait, and everybody where they stand."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from worksite.common.health import Health
from worksite.gateway.app import create_app
from worksite.gateway.domain.rates import Limit
from worksite.gateway.gateway import Gateway
from worksite.gateway.rate_limits import Limits, RateLimiter
from worksite.gateway.settings import GatewaySettings

Mint = Callable[..., str]
LIMITS = Limits(principal=Limit("principal", 1, 6), tenant=Limit("tenant", 2, 10), address=Limit("address", 0.5, 3))
ABSENT = f"/v1/tasks/{'0' * 32}"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(gateway: Gateway, settings: GatewaySettings, clock: Clock) -> FastAPI:
    """One whose limits are soon reached, and whose time stands still."""
    return create_app(replace(gateway, rate_limiter=RateLimiter(LIMITS, clock)), Health(), settings)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest_asyncio.fixture
async def ada(client: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """Of the tenant acme."""
    yield client


@pytest.mark.asyncio
async def test_every_answer_says_what_is_left_and_when_it_is_whole_again(ada: httpx.AsyncClient, mint: Mint) -> None:
    found = await ada.get("/v1/tasks")
    missing = await ada.get(ABSENT)
    malformed = await ada.post("/v1/tasks", content=b"{", headers={"Content-Type": "application/json"})
    forbidden = await ada.post("/v1/tasks", headers=bearer(mint(roles=["viewer"])))

    answers = [found, missing, malformed, forbidden]
    assert [answer.status_code for answer in answers] == [200, 404, 400, 403]
    assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"principal";q=6;w=6, "tenant";q=10;w=5'}
    assert [answer.headers["ratelimit"] for answer in answers] == [
        '"principal";r=5;t=1, "tenant";r=9;t=1',
        '"principal";r=4;t=2, "tenant";r=8;t=1',
        '"principal";r=3;t=3, "tenant";r=7;t=2',
        '"principal";r=2;t=4, "tenant";r=6;t=2',
    ]


@pytest.mark.asyncio
async def test_one_request_too_many_is_told_how_long_to_wait_and_waiting_helps(
    ada: httpx.AsyncClient, clock: Clock
) -> None:
    for _ in range(6):
        assert (await ada.get(ABSENT)).status_code == 404
    clock.now += 0.3

    denied = await ada.get(ABSENT)

    assert (denied.status_code, denied.json()["type"]) == (429, "urn:worksite:problem:rate-limited")
    assert "principal" in denied.json()["detail"]
    assert denied.headers["content-type"] == "application/problem+json"
    assert denied.headers["retry-after"] == "1"  # 0.7 rounded up
    assert denied.headers["ratelimit"].startswith('"principal";r=0;t=6')
    clock.now += int(denied.headers["retry-after"])
    assert (await ada.get(ABSENT)).status_code == 404


@pytest.mark.asyncio
async def test_another_principal_goes_on_until_the_tenant_has_had_its_share(ada: httpx.AsyncClient, mint: Mint) -> None:
    bob = bearer(mint(sub="bob"))
    for _ in range(6):
        await ada.get(ABSENT)
    assert (await ada.get(ABSENT)).status_code == 429

    bobs = [(await ada.get(ABSENT, headers=bob)).status_code for _ in range(5)]
    other = await ada.get(ABSENT, headers=bearer(mint(tenant="beta", sub="bob")))

    assert bobs == [404, 404, 404, 404, 429]
    assert other.status_code == 404


@pytest.mark.asyncio
async def test_a_search_takes_more_than_a_look(ada: httpx.AsyncClient) -> None:
    answer = await ada.post("/v1/search", content=b"{", headers={"Content-Type": "application/json"})

    assert answer.headers["ratelimit"].startswith('"principal";r=1;')


@pytest.mark.asyncio
async def test_a_limit_is_asked_before_the_policies(ada: httpx.AsyncClient, mint: Mint) -> None:
    viewer = bearer(mint(roles=["viewer"], sub="eve"))

    answers = [(await ada.post("/v1/tasks", headers=viewer)).status_code for _ in range(7)]

    assert answers == [403] * 6 + [429]


@pytest.mark.asyncio
async def test_failed_sign_ins_are_counted_by_address_and_do_not_lock_out_who_signs_in(
    ada: httpx.AsyncClient, mint: Mint
) -> None:
    bad = bearer("garbage")

    failed = [await ada.get(ABSENT, headers=bad) for _ in range(4)]

    assert [answer.status_code for answer in failed] == [401, 401, 401, 429]
    assert failed[-1].headers["retry-after"] == "2"
    assert failed[0].headers["ratelimit"] == '"address";r=2;t=2'
    assert (await ada.get(ABSENT, headers=bearer(mint()))).status_code == 404


@pytest.mark.asyncio
async def test_requests_without_a_token_count_too_and_health_does_not(stranger: httpx.AsyncClient) -> None:
    answers = [(await stranger.get(ABSENT)).status_code for _ in range(4)]
    exempt = [await stranger.get(path) for path in ("/healthz", "/readyz", "/metrics") for _ in range(4)]

    assert answers == [401, 401, 401, 429]
    assert {answer.status_code for answer in exempt} == {200}
    assert all("ratelimit" not in answer.headers for answer in exempt)


@pytest.mark.asyncio
async def test_secrets_cannot_be_guessed_at_the_token_endpoint(stranger: httpx.AsyncClient, clock: Clock) -> None:
    guess = {"Authorization": "Basic " + base64.b64encode(b"cli:guess").decode()}
    form = {"grant_type": "client_credentials"}

    answers = [await stranger.post("/oauth/token", data=form, headers=guess) for _ in range(10)]

    assert [answer.status_code for answer in answers] == [401] * 3 + [429] * 7
    clock.now += int(answers[-1].headers["retry-after"])
    assert (await stranger.post("/oauth/token", data=form, headers=guess)).status_code == 401


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("addresses", "last"),
    [
        (["10.0.0.1"] * 4, 429),
        (["10.0.0.1"] * 3 + ["10.0.0.2"], 401),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::ffff:4"], 429),
        (["2001:db8::1"] * 3 + ["2001:db8:0:1::1"], 401),
        (["::ffff:10.0.0.1"] * 4, 429),
        (["::ffff:10.0.0.1"] * 3 + ["::ffff:10.0.0.2"], 401),
        (["no-address"] * 4, 429),
    ],
)
async def test_an_ipv4_address_is_one_client_and_so_is_a_network_of_ipv6(
    app: FastAPI, addresses: list[str], last: int
) -> None:
    answers: list[int] = []
    for address in addresses:
        transport = httpx.ASGITransport(app, client=(address, 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            answers.append((await client.get(ABSENT)).status_code)

    assert answers == [401, 401, 401, last]


@pytest.mark.asyncio
async def test_an_answer_that_failed_inside_says_it_too(
    gateway: Gateway, settings: GatewaySettings, mint: Mint, clock: Clock
) -> None:
    broken = replace(gateway, rate_limiter=RateLimiter(LIMITS, clock), tasks=None)  # pyright: ignore
    transport = httpx.ASGITransport(create_app(broken, Health(), settings), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get(ABSENT, headers=bearer(mint()))

    assert answer.status_code == 500
    assert answer.headers["ratelimit"].startswith('"principal";r=5')
