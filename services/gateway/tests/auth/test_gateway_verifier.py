"""Which tokens are let in, and which never are."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from worksite.gateway.auth.errors import InvalidToken
from worksite.gateway.auth.jwks import Jwks
from worksite.gateway.auth.keys import AllowList, Keys, shared_secret
from worksite.gateway.auth.rings import KeyRing
from worksite.gateway.auth.verifier import LEEWAY_SECONDS, MAX_TOKEN_BYTES, Verifier

SECRET = "q7V1xkz0PmD3uYwB9sLfR2hTn6cJgA4eXoUi"
NOW = int(time.time())

EC, RSA = ECKey.generate_key("P-256", {"kid": "ec"}), RSAKey.generate_key(2048, {"kid": "rsa"})


async def external() -> object:
    return {"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]}


@pytest.fixture
def verifier(issuer_key: OKPKey) -> Verifier:
    keys = Keys(secret=KeyRing(shared_secret(SECRET)), own=KeyRing(issuer_key), jwks=Jwks(external))
    return Verifier(keys, "worksite", "worksite", clock=lambda: NOW)


@pytest.fixture
def mint(mint: Callable[..., str]) -> Callable[..., str]:
    """Tokens of the moment that the verifier's clock shows, however long ago this module was imported."""
    return lambda **changed: mint(**{"iat": NOW, "nbf": NOW, "exp": NOW + 600} | changed)


def unsigned(header: Any, claims: Any, signature: str = "") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims)]
    return ".".join([*parts, signature])


@pytest.mark.asyncio
@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "RS256", "HS256"])
async def test_every_allowed_algorithm_verifies_with_its_own_key(
    verifier: Verifier, mint: Callable[..., str], issuer_key: OKPKey, algorithm: str
) -> None:
    key = {"EdDSA": issuer_key, "ES256": EC, "RS256": RSA, "HS256": OctKey.import_key(SECRET)}[algorithm]

    principal = await verifier.verify(mint(key=key, header={"alg": algorithm, "kid": key.kid or "any"}))

    assert principal.subject == "ada"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"exp": NOW - LEEWAY_SECONDS}, "expired"),
        ({"nbf": NOW + LEEWAY_SECONDS + 1}, "nbf"),
        ({"iat": NOW + LEEWAY_SECONDS + 1, "exp": NOW + 100}, "iat"),
        ({"aud": "somebody-else"}, "aud"),
        ({"aud": ["a", "b"]}, "aud"),
        ({"iss": "somebody-else"}, "iss"),
        ({"exp": "never"}, "exp"),
        *[({name: None}, name) for name in ("iss", "aud", "exp", "iat", "sub", "jti", "tenant", "roles")],
        ({"tenant": "../beta"}, "tenant"),
        ({"roles": ["root"]}, "roles"),
    ],
)
async def test_claims_that_are_missing_or_wrong_are_refused_by_name(
    verifier: Verifier, mint: Callable[..., str], changed: dict[str, Any], says: str
) -> None:
    with pytest.raises(InvalidToken, match=says):
        await verifier.verify(mint(**{"iat": NOW, "nbf": NOW, "exp": NOW + 600} | changed))


@pytest.mark.asyncio
async def test_clocks_may_differ_by_the_leeway_and_audiences_may_be_several(
    verifier: Verifier, mint: Callable[..., str]
) -> None:
    late = mint(exp=NOW - LEEWAY_SECONDS + 1, iat=NOW - 600, nbf=NOW - 600)
    early = mint(nbf=NOW + LEEWAY_SECONDS, iat=NOW + LEEWAY_SECONDS, aud=["worksite", "other"])

    for token in (late, early):
        assert (await verifier.verify(token)).tenant == "acme"


@pytest.mark.asyncio
@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "", "HS512", "PS256", "RS512", "ES384", 1, None])
async def test_an_algorithm_outside_the_list_is_refused_before_anything_else(
    verifier: Verifier, algorithm: Any
) -> None:
    with pytest.raises(InvalidToken):
        await verifier.verify(unsigned({"alg": algorithm, "kid": "own"}, {"sub": "ada"}))


@pytest.mark.asyncio
async def test_hs256_needs_a_configured_secret(issuer_key: OKPKey, mint: Callable[..., str]) -> None:
    verifier = Verifier(Keys(own=KeyRing(issuer_key)), "worksite", "worksite")

    with pytest.raises(InvalidToken, match="algorithm"):
        await verifier.verify(mint(key=OctKey.import_key(SECRET), header={"alg": "HS256", "kid": "own"}))


@pytest.mark.asyncio
async def test_a_public_key_is_never_taken_for_a_shared_secret(
    verifier: Verifier, mint: Callable[..., str], issuer_key: OKPKey
) -> None:
    for public in (issuer_key.as_bytes("PEM", private=False), RSA.as_bytes("PEM", private=False)):
        signed = mint(header={"alg": "HS256", "kid": "own"}, key=OctKey.import_key(SECRET)).rsplit(".", 1)[0]
        # By hand, as an attacker would: joserfc refuses to make such a key.
        signature = hmac.digest(public, signed.encode(), "sha256")
        forged = f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
        with pytest.raises(InvalidToken, match="signature"):
            await verifier.verify(forged)


@pytest.mark.asyncio
async def test_a_key_is_never_used_for_another_keys_algorithm(verifier: Verifier, mint: Callable[..., str]) -> None:
    token = mint(key=RSA, header={"alg": "RS256", "kid": "ec"})

    with pytest.raises(InvalidToken):
        await verifier.verify(token)


@pytest.mark.asyncio
async def test_a_signature_of_another_key_is_wrong(verifier: Verifier, mint: Callable[..., str]) -> None:
    impostor = OKPKey.generate_key("Ed25519", {"kid": "own"})

    with pytest.raises(InvalidToken, match="signature"):
        await verifier.verify(mint(key=impostor))


@pytest.mark.asyncio
async def test_claims_cannot_be_changed_under_a_signature(verifier: Verifier, mint: Callable[..., str]) -> None:
    header, _, signature = mint().split(".")
    _, claims, _ = mint(tenant="beta").split(".")

    with pytest.raises(InvalidToken, match="signature"):
        await verifier.verify(f"{header}.{claims}.{signature}")


@pytest.mark.asyncio
async def test_an_unknown_or_missing_key_id_is_refused(verifier: Verifier, mint: Callable[..., str]) -> None:
    for kid in ("nobody", "../own", None):
        with pytest.raises(InvalidToken, match="key"):
            await verifier.verify(mint(header={"kid": kid} if kid else {"kid": ""}))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "header",
    [
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/cert"},
        {"jwk": {"kty": "oct", "k": "AA"}},
        {"x5c": ["AA"]},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["b64"], "b64": False},
        {"typ": "logout+jwt"},
    ],
)
async def test_headers_that_would_change_the_rules_are_refused(
    verifier: Verifier, issuer_key: OKPKey, header: dict[str, Any]
) -> None:
    token = unsigned({"alg": "EdDSA", "kid": "own"} | header, {"sub": "ada"}, "AA")

    with pytest.raises(InvalidToken, match=next(iter(header))):
        await verifier.verify(token)


@pytest.mark.asyncio
async def test_a_long_token_is_refused_unread(verifier: Verifier, mint: Callable[..., str]) -> None:
    with pytest.raises(InvalidToken, match=str(MAX_TOKEN_BYTES)):
        await verifier.verify(mint(padding="x" * MAX_TOKEN_BYTES))


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "token",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "ü.ü.ü",
        "\x00",
        unsigned("alg", {}),
        unsigned(["alg"], {}),
        unsigned({"alg": "EdDSA", "kid": ["own"]}, {}),
        unsigned({"alg": ["EdDSA"]}, {}),
        unsigned({"alg": {"EdDSA": 1}}, {}),
        unsigned({"typ": 1, "alg": "EdDSA"}, {}),
    ],
)
async def test_what_is_no_token_is_refused_not_crashed_on(verifier: Verifier, token: str) -> None:
    with pytest.raises(InvalidToken):
        await verifier.verify(token)


@pytest.mark.asyncio
async def test_claims_nested_too_deep_to_parse_are_refused(verifier: Verifier, issuer_key: OKPKey) -> None:
    deep = jws.serialize_compact({"alg": "EdDSA", "kid": "own"}, b"[" * 5000, issuer_key, registry=AllowList(["EdDSA"]))

    with pytest.raises(InvalidToken):
        await verifier.verify(deep)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    position=st.integers(min_value=0),
    replacement=st.sampled_from("AZaz09-_.="),
)
def test_a_token_with_one_character_changed_is_never_another_token(
    issuer_key: OKPKey, mint: Callable[..., str], position: int, replacement: str
) -> None:
    verifier = Verifier(Keys(own=KeyRing(issuer_key)), "worksite", "worksite")
    token = mint(jti="fixed")
    at = position % len(token)
    changed = token[:at] + replacement + token[at + 1 :]

    async def verify() -> object:
        try:
            return await verifier.verify(changed)
        except InvalidToken:
            return None

    found = asyncio.run(verify())
    # The last character of base64 carries unused bits: a changed token may have the same signature, never other claims.
    assert found is None or changed.rsplit(".", 1)[0] == token.rsplit(".", 1)[0]


@pytest.mark.asyncio
@pytest.mark.parametrize("payload", [b"[]", b'"ada"', b"null", b""])
async def test_a_signed_text_that_holds_no_claims_is_refused(
    verifier: Verifier, issuer_key: OKPKey, payload: bytes
) -> None:
    header = {"alg": "EdDSA", "kid": issuer_key.kid}
    token = jws.serialize_compact(header, payload, issuer_key, registry=AllowList(["EdDSA"]))

    with pytest.raises(InvalidToken):
        await verifier.verify(token)


def test_an_algorithm_that_is_not_named_is_not_there() -> None:
    with pytest.raises(UnsupportedAlgorithmError, match="HS256"):
        AllowList(["EdDSA"]).get_alg("HS256")
