"""The embedded issuer: OAuth 2.0 client credentials (RFC 6749 section 4.4), tokens as RFC 9068 lays them out.

Authlib does the protocol. It ships its server side for Flask and Django only; what an ASGI application has to add to
its framework-neutral core is the translation of request and answer, below.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from authlib.oauth2.rfc6749 import AuthorizationServer, OAuth2Request
from authlib.oauth2.rfc6749.errors import InvalidClientError, InvalidRequestError
from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from joserfc import jwt
from joserfc.jwk import OKPKey
from worksite.common.ids import new_id
from worksite.gateway.auth.clients import Client, RegisteredClient
from worksite.gateway.auth.keys import AllowList
from worksite.gateway.auth.rings import TOKEN_SECONDS, KeyRing

AUTH_METHODS = ["client_secret_basic", "client_secret_post"]


@dataclass(frozen=True)
class TokenRequest:
    """The parts of the HTTP request that the protocol looks at."""

    headers: Mapping[str, str]
    form: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class TokenAnswer:
    """What goes back."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


class Issuer(AuthorizationServer):
    """Issues short tokens to known clients."""

    def __init__(
        self,
        keys: KeyRing[OKPKey],
        clients: Mapping[str, Client],
        issuer: str,
        audience: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._keys, self.clients = keys, clients
        self.name, self._audience = issuer, audience
        self._clock = clock
        self.register_grant(_ClientCredentials)

    def answer(self, request: TokenRequest) -> TokenAnswer:
        """The answer to `POST /oauth/token`, errors included (RFC 6749 section 5.2)."""
        try:
            return cast("TokenAnswer", self.create_token_response(request))
        except UnicodeDecodeError:  # Authlib decodes Basic credentials as UTF-8 without a net
            error = InvalidClientError(status_code=401, description="The credentials are not UTF-8")
            return self.handle_response(*error())

    def public_keys(self) -> dict[str, Any]:
        """The JWK set that verifies its tokens: also those of former keys, and of a new one before it signs."""
        parameters = {"use": "sig", "alg": "EdDSA"}
        return {"keys": [key.as_dict(private=False, **parameters) for key in self._keys.verifying]}

    def token(self, subject: str, tenant: str, roles: list[str]) -> str:
        """A signed token."""
        now = int(self._clock())
        claims: dict[str, Any] = {
            "iss": self.name,
            "aud": self._audience,
            "sub": subject,
            "client_id": subject,
            "jti": new_id(),
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_SECONDS,
            "tenant": tenant,
            "roles": roles,
        }
        key = self._keys.signing
        header = {"alg": "EdDSA", "kid": key.kid, "typ": "at+jwt"}
        return jwt.encode(header, claims, key, registry=AllowList(["EdDSA"]))

    def query_client(self, client_id: str) -> RegisteredClient:
        return RegisteredClient(self.clients.get(client_id))

    def create_oauth2_request(self, request: TokenRequest) -> OAuth2Request:
        return _Request(request)

    def handle_response(self, status: int, body: Any, headers: Any) -> TokenAnswer:
        return TokenAnswer(status, dict(body), dict(headers))

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens."""


class _Request(OAuth2Request):
    def __init__(self, request: TokenRequest) -> None:
        # Authlib insists on https; whether TLS ends here or in front of us is the deployment's business.
        super().__init__("POST", "https://gateway/oauth/token", headers=request.headers)
        self.repeats = len(dict(request.form)) != len(request.form)
        self._fields = dict(request.form)
        self.payload = BasicOAuth2Payload(self._fields)

    @property
    def form(self) -> dict[str, str]:
        return self._fields


class _ClientCredentials(ClientCredentialsGrant):
    TOKEN_ENDPOINT_AUTH_METHODS = AUTH_METHODS

    def validate_token_request(self) -> None:
        if cast("_Request", self.request).repeats:
            raise InvalidRequestError("Parameters must not be repeated")
        super().validate_token_request()

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Instead of Authlib's own, which writes the token into its debug log."""
        form, client = self.request.form, cast("RegisteredClient", self.request.client)
        token = cast("Issuer", self.server).token(*client.grant(form.get("tenant"), form.get("role")))
        body = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
        return 200, body, self.TOKEN_RESPONSE_HEADER
