"""The external key set, and keys from settings."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from worksite.common.errors import ServiceUnavailable
from worksite.gateway.auth import jwks
from worksite.gateway.auth.jwks import Jwks
from worksite.gateway.auth.keys import shared_secret, signing_key

ONE, TWO = ECKey.generate_key("P-256", {"kid": "one"}), OKPKey.generate_key("Ed25519", {"kid": "two"})


class Issuer:
    """An issuer that can be asked, can rotate its keys and can be away; and the clock."""

    def __init__(self) -> None:
        self.keys = [ONE]
        self.away = False
        self.asked = 0
        self.now = 1000.0

    async def fetch(self) -> object:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise httpx.ConnectError("away")
        return {"keys": [key.as_dict(private=False) for key in self.keys]}

    def clock(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
def cache(issuer: Issuer) -> Jwks:
    return Jwks(issuer.fetch, issuer.clock)


@pytest.mark.asyncio
async def test_keys_are_fetched_once_and_kept(cache: Jwks, issuer: Issuer) -> None:
    for _ in range(5):
        assert (await cache.find("one")) is not None

    assert issuer.asked == 1


@pytest.mark.asyncio
async def test_a_crowd_with_an_unknown_key_asks_once(cache: Jwks, issuer: Issuer) -> None:
    await cache.find("one")
    issuer.now += jwks.MIN_INTERVAL_SECONDS

    found = await asyncio.gather(*(cache.find("nobody") for _ in range(20)))

    assert set(found) == {None}
    assert issuer.asked == 2


@pytest.mark.asyncio
async def test_unknown_keys_cannot_make_us_hammer_the_issuer(cache: Jwks, issuer: Issuer) -> None:
    for number in range(100):
        await cache.find(f"nobody-{number}")
        issuer.now += jwks.MIN_INTERVAL_SECONDS / 100

    assert issuer.asked == 1


@pytest.mark.asyncio
async def test_a_rotated_key_is_found_and_the_old_one_forgotten(cache: Jwks, issuer: Issuer) -> None:
    await cache.find("one")
    issuer.keys = [TWO]
    issuer.now += jwks.MIN_INTERVAL_SECONDS

    assert await cache.find("two") is not None
    assert await cache.find("one") is None


@pytest.mark.asyncio
async def test_a_removed_key_stops_verifying_when_the_set_is_no_longer_fresh(cache: Jwks, issuer: Issuer) -> None:
    await cache.find("one")
    issuer.keys = [TWO]

    issuer.now += jwks.FRESH_SECONDS
    assert await cache.find("one") is not None
    issuer.now += 1
    assert await cache.find("one") is None


@pytest.mark.asyncio
async def test_an_outage_is_bridged_for_a_day_and_not_longer(cache: Jwks, issuer: Issuer) -> None:
    await cache.find("one")
    issuer.away = True

    issuer.now += jwks.MAX_STALE_SECONDS
    assert await cache.find("one") is not None
    issuer.now += 1
    with pytest.raises(ServiceUnavailable):
        await cache.find("one")


@pytest.mark.asyncio
async def test_an_issuer_that_was_never_reached_is_an_outage_not_a_bad_token(cache: Jwks, issuer: Issuer) -> None:
    issuer.away = True

    with pytest.raises(ServiceUnavailable):
        await cache.find("one")

    issuer.away, issuer.now = False, issuer.now + jwks.MIN_INTERVAL_SECONDS
    assert await cache.find("one") is not None


@pytest.mark.asyncio
async def test_a_known_key_does_not_wait_for_an_issuer_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "PATIENCE_SECONDS", 0.01)
    issuer, answered = Issuer(), asyncio.Event()

    async def slow() -> object:
        if issuer.asked:
            await answered.wait()
        return await issuer.fetch()

    cache = Jwks(slow, issuer.clock)
    await cache.find("one")
    issuer.now += jwks.FRESH_SECONDS + 1
    issuer.keys = [TWO]

    async with asyncio.timeout(30):
        assert await cache.find("one") is not None
        assert await cache.find("one") is not None
    answered.set()
    assert await cache.find("two") is not None
    assert await cache.find("one") is None


@pytest.mark.asyncio
async def test_a_fetch_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwks, "FETCH_SECONDS", 0.01)

    async def drip() -> object:
        return await asyncio.Event().wait()

    async with asyncio.timeout(30):
        with pytest.raises(ServiceUnavailable):
            await Jwks(drip).find("one")


def test_only_usable_public_keys_are_taken_from_a_set() -> None:
    weak = RSAKey.generate_key(1024, {"kid": "weak"})
    secret = OctKey.import_key("x" * 40, {"kid": "secret"})
    encryption = ECKey.generate_key("P-256", {"kid": "enc", "use": "enc"})
    nameless = ONE.as_dict(private=False)
    del nameless["kid"]
    strange = [{"kty": "AKP", "kid": "pq"}, {"kid": "no type"}, {"kty": "EC", "kid": "half"}, 1, None, "x", []]
    keys = [key.as_dict(private=False) for key in (ONE, weak, encryption)] + [secret.as_dict(private=True), nameless]

    assert list(jwks.parse({"keys": [*keys, *strange]})) == ["one"]


@pytest.mark.parametrize("document", [{}, [], None, "x", {"keys": []}, {"keys": "x"}, {"keys": [1]}])
def test_a_document_without_a_usable_key_is_an_error(document: object) -> None:
    with pytest.raises(ValueError, match="no usable key"):
        jwks.parse(document)


@pytest.mark.asyncio
async def test_only_the_configured_place_can_name_keys() -> None:
    def elsewhere(request: httpx.Request) -> httpx.Response:
        return httpx.Response(302, headers={"Location": "https://evil.example/keys"})

    async with httpx.AsyncClient(transport=httpx.MockTransport(elsewhere)) as client:
        with pytest.raises(httpx.HTTPError):
            await jwks.fetcher(client, "https://issuer.example/keys")()


@pytest.mark.asyncio
async def test_a_document_of_any_length_is_not_read_to_its_end() -> None:
    async with httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, content=b" " * (1 << 21)))
    ) as client:
        with pytest.raises(ValueError, match="bytes"):
            await jwks.fetcher(client, "https://issuer.example/keys")()


@pytest.mark.asyncio
async def test_the_key_set_is_fetched_over_http() -> None:
    document = {"keys": [ONE.as_dict(private=False)]}
    async with httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=document))) as client:
        assert await Jwks(jwks.fetcher(client, "https://issuer.example/keys")).find("one") is not None


@pytest.mark.parametrize(
    "secret",
    ["", "short", "x" * 31, "a" * 64, "changeme" * 8, "your-secret-key-change-in-production", "0123456789" * 4],
)
def test_a_shared_secret_that_can_be_guessed_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="openssl rand"):
        shared_secret(secret)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "{}",
        "[]",
        "null",
        '"x"',
        json.dumps(TWO.as_dict(private=False)),
        json.dumps(ONE.as_dict(private=True)),
        json.dumps(OKPKey.generate_key("X25519").as_dict(private=True)),
        json.dumps(TWO.as_dict(private=True) | {"d": "x"}),
    ],
    ids=["empty", "no json", "object", "list", "null", "string", "public", "elliptic", "not for signing", "broken"],
)
def test_an_issuer_key_that_cannot_sign_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="private Ed25519"):
        signing_key(text)
