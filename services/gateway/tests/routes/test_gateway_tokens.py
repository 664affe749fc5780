"""The embedded issuer, used as OAuth clients use it."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import KeySet, OKPKey
from pydantic import SecretStr
from worksite.common.health import http_server
from worksite.gateway.auth.keys import AllowList, signing_key
from worksite.gateway.settings import GatewaySettings

SECRET = "s3cret+of the-cli/%:&="
CLIENTS = [
    {"client_id": "cli", "secret_sha256": "", "tenants": "*", "roles": ["viewer", "developer"]},
    {"client_id": "ci", "secret_sha256": "", "tenants": ["acme"], "roles": ["developer"]},
]
GRANT = {"grant_type": "client_credentials"}


@pytest.fixture
def settings(settings: GatewaySettings) -> GatewaySettings:
    digest = hashlib.sha256(SECRET.encode()).hexdigest()
    clients = [entry | {"secret_sha256": digest} for entry in CLIENTS]
    return settings.model_copy(update={"issuer_clients": SecretStr(json.dumps(clients))})


async def form(stranger: httpx.AsyncClient, fields: dict[str, str], **options: Any) -> httpx.Response:
    return await stranger.post("/oauth/token", data=GRANT | fields, **options)


@pytest.mark.asyncio
async def test_a_token_that_authlibs_client_fetches_opens_the_api(app: FastAPI) -> None:
    async with http_server(app, "127.0.0.1", 0) as port, AsyncOAuth2Client("cli", SECRET, trust_env=False) as oauth:
        url = f"http://127.0.0.1:{port}"
        token = await oauth.fetch_token(f"{url}/oauth/token", **GRANT, tenant="acme", role="developer")
        answer = await oauth.post(f"{url}/v1/tasks", json={"request": "Create auth system"})

    assert token["token_type"] == "Bearer"
    assert answer.status_code == 202


@pytest.mark.asyncio
async def test_form_fields_authenticate_as_well_as_basic(stranger: httpx.AsyncClient) -> None:
    answer = await form(stranger, {"client_id": "cli", "client_secret": SECRET, "tenant": "acme"})

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.asyncio
async def test_a_token_says_who_for_whom_and_until_when(stranger: httpx.AsyncClient) -> None:
    answer = await form(stranger, {"tenant": "acme", "role": "viewer"}, auth=("cli", quote(SECRET)))
    keys = KeySet.import_key_set((await stranger.get("/.well-known/jwks.json")).json())

    token = jwt.decode(answer.json()["access_token"], keys, registry=AllowList(["EdDSA"]))

    claims = token.claims
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("cli", "acme", ["viewer"])
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"] == 900
    assert abs(claims["iat"] - time.time()) < 60
    assert token.header == {"alg": "EdDSA", "kid": "own", "typ": "at+jwt"}


@pytest.mark.asyncio
async def test_what_is_not_asked_for_is_what_the_client_has(stranger: httpx.AsyncClient) -> None:
    answer = await form(stranger, {}, auth=("ci", quote(SECRET)))

    payload = answer.json()["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["tenant"], claims["roles"]) == ("acme", ["developer"])


@pytest.mark.asyncio
async def test_wrong_credentials_and_unknown_clients_look_alike(stranger: httpx.AsyncClient) -> None:
    wrong = await form(stranger, {"tenant": "acme"}, auth=("cli", "wrong"))
    unknown = await form(stranger, {"tenant": "acme"}, auth=("nobody", quote(SECRET)))
    in_form = await form(stranger, {"tenant": "acme", "client_id": "nobody", "client_secret": "x"})
    none = await form(stranger, {"tenant": "acme"})
    not_text = await form(stranger, {"tenant": "acme"}, headers={"Authorization": "Basic //8="})

    assert wrong.json() == unknown.json() == in_form.json() == none.json()
    for answer in (wrong, unknown, in_form, none, not_text):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("client", "fields", "error"),
    [
        ("cli", {}, "invalid_scope"),
        ("cli", {"tenant": "a.b"}, "invalid_scope"),
        ("cli", {"tenant": "acme", "role": "operator"}, "invalid_scope"),
        ("cli", {"tenant": "acme", "role": "root"}, "invalid_scope"),
        ("cli", {"tenant": "acme", "role": ""}, "invalid_scope"),
        ("ci", {"tenant": "beta"}, "invalid_scope"),
        ("cli", {"tenant": "acme", "grant_type": "password"}, "unsupported_grant_type"),
    ],
)
async def test_a_client_gets_no_more_than_it_may_have(
    stranger: httpx.AsyncClient, client: str, fields: dict[str, str], error: str
) -> None:
    answer = await form(stranger, fields, auth=(client, quote(SECRET)))

    assert (answer.status_code, answer.json()["error"]) == (400, error)


@pytest.mark.asyncio
async def test_repeated_parameters_are_refused(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post(
        "/oauth/token",
        content="grant_type=client_credentials&tenant=acme&tenant=beta",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        auth=("cli", quote(SECRET)),
    )

    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.asyncio
async def test_what_is_no_form_is_an_invalid_request_in_the_words_of_oauth(stranger: httpx.AsyncClient) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    many = "&".join(f"f{number}=x" for number in range(100))

    json_body = await stranger.post("/oauth/token", json=GRANT)
    broken = [await stranger.post("/oauth/token", content=body, headers=kind) for body in (b"\xff=1", b"x", many)]

    for answer in (json_body, *broken):
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
        assert answer.json()["error_description"]
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.asyncio
async def test_no_token_reaches_the_log(stranger: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")

    answer = await form(stranger, {"tenant": "acme"}, auth=("cli", quote(SECRET)))

    assert answer.json()["access_token"] not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.asyncio
async def test_the_published_keys_are_public(stranger: httpx.AsyncClient) -> None:
    [key] = (await stranger.get("/.well-known/jwks.json")).json()["keys"]

    assert (key["kty"], key["crv"], key["kid"], key["use"], key["alg"]) == ("OKP", "Ed25519", "own", "sig", "EdDSA")
    assert "d" not in key


@pytest.mark.asyncio
async def test_the_metadata_leads_to_the_endpoints(stranger: httpx.AsyncClient) -> None:
    document = (await stranger.get("/.well-known/oauth-authorization-server")).json()

    assert document["issuer"] == "worksite"
    assert document["token_endpoint"] == "http://gateway/oauth/token"
    assert (await stranger.get(document["jwks_uri"])).status_code == 200


def test_a_key_without_a_kid_gets_its_thumbprint() -> None:
    key = OKPKey.generate_key("Ed25519")

    assert signing_key(json.dumps(key.as_dict(private=True))).kid == key.thumbprint()
