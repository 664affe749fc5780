"""Keys that are replaced while tokens of the former ones are still about."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc.jwk import OctKey, OKPKey
from pydantic import SecretStr
from worksite.common.bus import Bus
from worksite.common.secrets.rotation import Secrets
from worksite.gateway.auth.errors import InvalidToken
from worksite.gateway.auth.issuer import Issuer
from worksite.gateway.auth.keys import Keys, shared_secret
from worksite.gateway.auth.rings import KEEP_SECONDS, LEAD_SECONDS, TOKEN_SECONDS, KeyRing
from worksite.gateway.auth.verifier import Verifier
from worksite.gateway.main import built
from worksite.gateway.settings import GatewaySettings

OLD, NEW, NEWEST = (OKPKey.generate_key("Ed25519", {"kid": kid}) for kid in ("old", "new", "newest"))
SHARED_OLD, SHARED_NEW = "old-" + "qwertzuiopasdfghjklyx" * 2, "new-" + "mnbvcxylkjhgfdsapoiuz" * 2


@pytest.fixture
def now() -> SimpleNamespace:
    return SimpleNamespace(seconds=1000.0)


@pytest.fixture
def ring(now: SimpleNamespace) -> KeyRing[OKPKey]:
    return KeyRing(OLD, lambda: now.seconds)


def test_a_new_key_verifies_at_once_and_signs_when_every_replica_has_it(
    ring: KeyRing[OKPKey], now: SimpleNamespace
) -> None:
    ring.renew(NEW)
    assert (ring.verifying, ring.signing) == ([NEW, OLD], OLD)
    now.seconds += LEAD_SECONDS - 1
    assert ring.signing is OLD
    now.seconds += 1
    assert ring.signing is NEW


def test_a_former_key_verifies_until_the_last_token_it_signed_has_ended(
    ring: KeyRing[OKPKey], now: SimpleNamespace
) -> None:
    ring.renew(NEW)
    now.seconds += LEAD_SECONDS + TOKEN_SECONDS
    assert ring.verifying == [NEW, OLD]
    now.seconds += KEEP_SECONDS - LEAD_SECONDS - TOKEN_SECONDS
    assert ring.verifying == [NEW]
    assert ring.signing is NEW


def test_a_key_that_is_replaced_before_it_signed_leaves_the_oldest_at_work(
    ring: KeyRing[OKPKey], now: SimpleNamespace
) -> None:
    ring.renew(NEW)
    now.seconds += 1
    ring.renew(NEWEST)
    assert (ring.signing, ring.verifying) == (OLD, [NEWEST, NEW, OLD])
    now.seconds += LEAD_SECONDS
    assert ring.signing is NEWEST


@pytest.mark.asyncio
async def test_an_issuers_tokens_are_good_before_during_and_after_a_change_of_its_key(
    ring: KeyRing[OKPKey], now: SimpleNamespace
) -> None:
    issuer = Issuer(ring, {}, "worksite", "worksite", clock=lambda: now.seconds)
    verifier = Verifier(Keys(own=ring), "worksite", "worksite", clock=lambda: now.seconds)
    ring.renew(NEW)
    while now.seconds < 1000 + 2 * KEEP_SECONDS:
        now.seconds += 60
        token = issuer.token("ada", "acme", ["viewer"])
        now.seconds += TOKEN_SECONDS - 60
        assert (await verifier.verify(token)).subject == "ada"
    assert [key["kid"] for key in issuer.public_keys()["keys"]] == ["new"]


@pytest.mark.asyncio
async def test_tokens_of_a_former_shared_secret_are_taken_for_a_while(
    now: SimpleNamespace, mint: Callable[..., str]
) -> None:
    ring = KeyRing(shared_secret(SHARED_OLD), lambda: now.seconds)
    verifier = Verifier(Keys(secret=ring), "worksite", "worksite")
    tokens = [mint(OctKey.import_key(text, {"kid": "shared"}), {"alg": "HS256"}) for text in (SHARED_OLD, SHARED_NEW)]
    await verifier.verify(tokens[0])
    ring.renew(shared_secret(SHARED_NEW))
    for token in tokens:
        await verifier.verify(token)
    now.seconds += KEEP_SECONDS
    await verifier.verify(tokens[1])
    with pytest.raises(InvalidToken, match="signature"):
        await verifier.verify(tokens[0])


@pytest.mark.asyncio
async def test_a_running_gateway_takes_new_keys_and_clients(
    bus: Bus, settings: GatewaySettings, mint: Callable[..., str]
) -> None:
    def client(name: str) -> SecretStr:
        entry: dict[str, Any] = {"client_id": name, "secret_sha256": "0" * 64, "tenants": "*", "roles": ["viewer"]}
        return SecretStr(json.dumps([entry]))

    given = {"issuer_clients": client("old"), "jwt_secret_key": SecretStr(SHARED_OLD)}
    first = settings.model_copy(update=given)
    secrets = Secrets(first)
    async with built(first, bus, asyncio.Event(), secrets) as gateway:
        changed = {
            "issuer_key": SecretStr(json.dumps(NEW.as_dict(private=True))),
            "issuer_clients": client("new"),
            "jwt_secret_key": SecretStr(SHARED_NEW),
        }
        assert secrets.take(first.model_copy(update=changed)) == sorted(changed)
        assert gateway.issuer is not None
        assert gateway.issuer.query_client("new").check_grant_type("client_credentials")
        assert list(gateway.issuer.clients) == ["new"]
        assert [key["kid"] for key in gateway.issuer.public_keys()["keys"]] == ["new", "own"]
        for key, header in (
            (NEW, {"alg": "EdDSA", "kid": "new"}),
            (OctKey.import_key(SHARED_NEW, {"kid": "shared"}), {"alg": "HS256"}),
        ):
            assert (await gateway.authenticator.authenticate(mint(key, header))).subject
        assert (await gateway.authenticator.authenticate(mint())).subject
