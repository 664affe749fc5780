"""The door: who gets in, who is told why not, and what is put on record."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from joserfc.jwk import OctKey, OKPKey
from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import BusUnavailable
from worksite.common.messages import AuditRecord
from worksite.gateway.audit import recording
from worksite.gateway.auth import authenticator
from worksite.gateway.auth.authenticator import Authenticator
from worksite.gateway.auth.errors import InvalidToken
from worksite.gateway.auth.keys import Keys
from worksite.gateway.auth.revocations import Revocations, storage_key
from worksite.gateway.auth.rings import KeyRing
from worksite.gateway.auth.verifier import LEEWAY_SECONDS, Verifier
from worksite.gateway.domain.principal import Principal
from worksite.gateway.gateway import Gateway

Mint = Callable[..., str]
ABSENT = "0" * 32
ROUTES = [
    ("POST", "/v1/tasks"),
    ("GET", "/v1/tasks"),
    ("GET", f"/v1/tasks/{ABSENT}"),
    ("GET", f"/v1/tasks/{ABSENT}/events"),
    ("POST", f"/v1/tasks/{ABSENT}/cancel"),
    ("POST", f"/v1/tasks/{ABSENT}/input"),
    ("POST", f"/v1/tasks/{ABSENT}/approval"),
    ("POST", "/v1/uploads"),
    ("GET", f"/v1/uploads/{ABSENT * 2}"),
    ("GET", f"/v1/tasks/{ABSENT}/artifacts"),
    ("GET", f"/v1/tasks/{ABSENT}/artifacts/spec.md"),
    ("POST", "/v1/search"),
    ("POST", "/v1/knowledge/documents"),
    ("GET", "/v1/knowledge/documents"),
    ("GET", f"/v1/knowledge/documents/{ABSENT}"),
    ("DELETE", f"/v1/knowledge/documents/{ABSENT}"),
]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def audited(bus: Bus, kind: str, tenant: str = "acme") -> list[AuditRecord]:
    return [AuditRecord.consume(found.data) for found in await bus.read("AUDIT", f"ws.v1.audit.{tenant}.{kind}", 0)]


@pytest.mark.asyncio
async def test_no_route_answers_without_a_token(stranger: httpx.AsyncClient) -> None:
    for method, path in ROUTES:
        answer = await stranger.request(method, path)
        assert (answer.status_code, answer.json()["type"]) == (401, "urn:worksite:problem:unauthenticated"), path
        assert answer.headers["www-authenticate"] == 'Bearer realm="worksite"'


@pytest.mark.asyncio
async def test_bad_tokens_are_told_what_is_wrong_and_nothing_more(
    stranger: httpx.AsyncClient, mint: Mint, admin: Any
) -> None:
    now = int(time.time())
    none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ."
    cases = [
        (mint(iat=now - 700, nbf=now - 700, exp=now - 100), "expired"),
        (none, "algorithm"),
        (mint(aud="somebody-else"), "aud"),
        (mint(iss="somebody-else"), "iss"),
        (mint(key=OKPKey.generate_key("Ed25519", {"kid": "own"})), "signature"),
        (
            mint(key=OctKey.import_key("q7V1xkz0PmD3uYwB9sLfR2hTn6cJgA4e"), header={"alg": "HS256", "kid": "x"}),
            "algorithm",
        ),
        (mint(tenant="NOT.OK"), "tenant"),
        ("garbage", "not a signed JWT"),
        ("x" * 9000, "8192"),
    ]
    for token, says in cases:
        answer = await stranger.post("/v1/tasks", json={"request": "x"}, headers=bearer(token))
        assert answer.status_code == 401
        assert says in answer.json()["detail"]
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]
        assert token not in answer.text
    assert await admin.submitted() == []


@pytest.mark.asyncio
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic YTpi", "Token x", b"Bearer \xff\xfe"])
async def test_other_kinds_of_authorization_are_not_taken(stranger: httpx.AsyncClient, header: str | bytes) -> None:
    answer = await stranger.get("/v1/tasks", headers={"Authorization": header})

    assert answer.status_code == 401


@pytest.mark.asyncio
async def test_authentication_and_policy_come_before_the_body(stranger: httpx.AsyncClient, mint: Mint) -> None:
    without = await stranger.post("/v1/tasks", content=b"{")
    viewer = await stranger.post("/v1/tasks", content=b"{", headers=bearer(mint(roles=["viewer"])))

    assert (without.status_code, viewer.status_code) == (401, 403)


@pytest.mark.asyncio
async def test_a_denial_is_a_problem_and_goes_on_record(
    stranger: httpx.AsyncClient, mint: Mint, bus: Bus, admin: Any
) -> None:
    answer = await stranger.post("/v1/tasks", json={"request": "x"}, headers=bearer(mint(roles=["viewer"], sub="eve")))

    assert (answer.status_code, answer.json()["type"]) == (403, "urn:worksite:problem:forbidden")
    [record] = await audited(bus, "denied")
    assert (record.principal, record.action, record.resource) == ("eve", "submitTask", "Tenant::acme")
    assert "no policy" in record.reason
    assert await admin.submitted() == []


@pytest.mark.asyncio
async def test_a_flood_of_denials_leaves_two_records_and_not_one_each(
    stranger: httpx.AsyncClient, mint: Mint, bus: Bus, gateway: Gateway
) -> None:
    eve, bob = bearer(mint(roles=["viewer"], sub="eve")), bearer(mint(roles=["viewer"], sub="bob"))

    for who in [eve, *[eve] * 5, bob]:
        await stranger.post("/v1/tasks", json={"request": "x"}, headers=who)
    at_once = await audited(bus, "denied")
    await gateway.audit.sum_up(timedelta(0))
    await gateway.audit.sum_up(timedelta(0))

    assert [(record.principal, record.times) for record in at_once] == [("eve", 1), ("bob", 1)]
    [summed_up] = (await audited(bus, "denied"))[2:]
    assert (summed_up.principal, summed_up.action, summed_up.times) == ("eve", "submitTask", 5)


@pytest.mark.asyncio
async def test_what_was_counted_goes_on_record_when_the_gateway_stops(bus: Bus) -> None:
    eve = Principal("eve", "acme", frozenset({"viewer"}), "id", 0)

    async with recording(bus) as audit:
        for _ in range(3):
            await audit.denied(eve, "submitTask", "Tenant::acme", "no")

    assert [record.times for record in await audited(bus, "denied")] == [1, 2]


@pytest.mark.asyncio
async def test_who_came_in_is_no_longer_admitted_after_the_tokens_end(gateway: Gateway) -> None:
    parts = gateway.authenticator
    door = Authenticator(parts._verifier, parts._revocations, clock=lambda: 100.0)

    assert await door.still_admits(Principal("ada", "acme", frozenset(), "id", 100.1))
    assert not await door.still_admits(Principal("ada", "acme", frozenset(), "id", 100.0))


@pytest.mark.asyncio
async def test_an_operator_cancels_but_does_not_submit(
    client: httpx.AsyncClient, submit: Callable[..., Any], mint: Mint
) -> None:
    task = await submit()
    operator = bearer(mint(roles=["operator"]))

    cancelled = await client.post(f"/v1/tasks/{task}/cancel", headers=operator)
    submitted = await client.post("/v1/tasks", json={"request": "x"}, headers=operator)

    assert (cancelled.status_code, submitted.status_code) == (202, 403)


@pytest.mark.asyncio
async def test_a_revoked_token_is_refused_and_its_use_goes_on_record(
    stranger: httpx.AsyncClient, mint: Mint, bus: Bus
) -> None:
    await KeyValue(bus, subjects.REVOKED).create(storage_key("stolen"), b"", ttl_seconds=900)

    answer = await stranger.get("/v1/tasks", headers=bearer(mint(jti="stolen")))

    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]
    [record] = await audited(bus, "unauthenticated")
    assert record.principal == "ada"


@pytest.mark.asyncio
async def test_a_revocation_is_not_undone_by_having_the_server_write_over_it(bus: Bus) -> None:
    revoked, elsewhere = KeyValue(bus, subjects.REVOKED), f"$KV.{subjects.IDEMPOTENCY}.planted"
    revision = await revoked.create(storage_key("stolen"), b"", ttl_seconds=900)
    await bus.publish_raw(elsewhere, b"", {"KV-Operation": "DEL"})
    over = f"$KV.{subjects.REVOKED}.{storage_key('stolen')}"
    await bus.client.publish(f"$JS.API.DIRECT.GET.KV_{subjects.IDEMPOTENCY}.{elsewhere}", b"", reply=over)
    async with asyncio.timeout(20):
        while (await bus.tip(f"KV_{subjects.REVOKED}", over, history=False)).sequence == revision:
            await asyncio.sleep(0.005)

    assert await Revocations(bus).revoked("stolen")


@pytest.mark.asyncio
async def test_a_revocation_takes_effect_within_the_stated_time(gateway: Gateway, mint: Mint, bus: Bus) -> None:
    now = time.time()
    parts = gateway.authenticator
    door = Authenticator(parts._verifier, parts._revocations, clock=lambda: now)
    token = mint(jti="stolen")
    await door.authenticate(token)
    await KeyValue(bus, subjects.REVOKED).create(storage_key("stolen"), b"")

    now += authenticator.CACHE_SECONDS - 0.1
    assert (await door.authenticate(token)).token_id == "stolen"
    now += 0.1
    with pytest.raises(authenticator.RevokedToken):
        await door.authenticate(token)


@pytest.mark.asyncio
async def test_a_known_token_does_not_outlive_its_expiry(gateway: Gateway, mint: Mint, issuer_key: OKPKey) -> None:
    now = start = int(time.time())
    verifier = Verifier(Keys(own=KeyRing(issuer_key)), "worksite", "worksite", clock=lambda: now)
    door = Authenticator(verifier, gateway.authenticator._revocations, clock=lambda: now)
    token = mint(iat=start, nbf=start, exp=start + 5)
    await door.authenticate(token)
    now = start + 30  # verified anew: the cache's own limit would now reach beyond the token's end
    await door.authenticate(token)

    now = start + 5 + LEEWAY_SECONDS
    with pytest.raises(InvalidToken, match="expired"):
        await door.authenticate(token)


@pytest.mark.asyncio
async def test_only_so_many_tokens_are_remembered(
    gateway: Gateway, mint: Mint, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authenticator, "_CACHE_ENTRIES", 1)
    door = gateway.authenticator
    forgotten, remembered = mint(jti="forgotten"), mint(jti="remembered")
    for token in (forgotten, remembered):
        await door.authenticate(token)
    for name in ("forgotten", "remembered"):
        await KeyValue(bus, subjects.REVOKED).create(storage_key(name), b"")

    assert (await door.authenticate(remembered)).token_id == "remembered"
    with pytest.raises(authenticator.RevokedToken):
        await door.authenticate(forgotten)


class Away:
    """A bus that takes nothing."""

    async def publish(self, *_: object, **__: object) -> None:
        raise BusUnavailable("away")


@pytest.mark.asyncio
async def test_a_denial_stands_and_is_logged_when_it_cannot_be_recorded(
    gateway: Gateway, client: httpx.AsyncClient, mint: Mint, caplog: pytest.LogCaptureFixture
) -> None:
    gateway.audit._bus = Away()  # pyright: ignore

    answer = await client.post("/v1/tasks", json={"request": "x"}, headers=bearer(mint(roles=["viewer"], sub="eve")))

    assert answer.status_code == 403
    assert "audit record lost" in caplog.text
    assert "eve" in caplog.text
