"""Settings of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from worksite.common.settings import ServiceSettings
from worksite.gateway.auth import clients, keys

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class GatewaySettings(ServiceSettings):
    """At least one of ISSUER_KEY, JWT_JWKS_URL and JWT_SECRET_KEY must be set, else no token can be verified."""

    dashboard_port: int = Field(
        default=8000, ge=0, le=65535, description="port of the HTTP interface; 0: any free port"
    )
    policy_dir: Path = Field(default=Path("policies"), description="directory of the Cedar policies and their schema")
    max_body_bytes: int = Field(default=1 << 20, ge=1024, le=64 << 20, description="largest request body accepted")
    jwt_issuer: str = Field(default="worksite", min_length=1, description="the `iss` that tokens must carry")
    jwt_audience: str = Field(default="worksite", min_length=1, description="the `aud` that tokens must carry")
    jwt_jwks_url: str | None = Field(default=None, description="key set of an external issuer; https, or loopback")
    jwt_secret_key: SecretStr | None = Field(default=None, description="32 bytes or more: also accept HS256 tokens")
    issuer_key: SecretStr | None = Field(
        default=None, description="private Ed25519 JWK (JSON): issue tokens here, at /oauth/token"
    )
    issuer_clients: SecretStr | None = Field(
        default=None, description='JSON list of {"client_id", "secret_sha256", "tenants": [...] or "*", "roles": [...]}'
    )

    @field_validator("jwt_jwks_url")
    @classmethod
    def _trustworthy(cls, value: str | None) -> str | None:
        parts = urlsplit(value or "")
        if value and parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
            raise ValueError("must be an https URL: keys fetched in the clear can be replaced on the way")
        return value

    @field_validator("jwt_secret_key")
    @classmethod
    def _strong(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            keys.shared_secret(value.get_secret_value())
        return value

    @field_validator("issuer_key")
    @classmethod
    def _signs(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            keys.signing_key(value.get_secret_value())
        return value

    @field_validator("issuer_clients")
    @classmethod
    def _clients(cls, value: SecretStr | None) -> SecretStr | None:
        if value:
            clients.parse(value.get_secret_value())
        return value

    @model_validator(mode="after")
    def _can_verify(self) -> Self:
        if not (self.issuer_key or self.jwt_jwks_url or self.jwt_secret_key):
            raise ValueError("set ISSUER_KEY, JWT_JWKS_URL or JWT_SECRET_KEY: without one no token can be verified")
        return self
