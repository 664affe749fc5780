"""Settings of the gateway."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from worksite.common.artifacts import MAX_ARTIFACT_BYTES
from worksite.common.settings import ServiceSettings
from worksite.gateway.auth import clients, keys
from worksite.gateway.domain.rates import Limit
from worksite.gateway.rate_limits import MIN_BURST, Limits

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class GatewaySettings(ServiceSettings):
    """At least one of ISSUER_KEY, JWT_JWKS_URL and JWT_SECRET_KEY must be set, else no token can be verified."""

    dashboard_port: int = Field(
        default=8000, ge=0, le=65535, description="port of the HTTP interface; 0: any free port"
    )
    policy_dir: Path = Field(default=Path("policies"), description="directory of the Cedar policies and their schema")
    max_body_bytes: int = Field(default=1 << 20, ge=1024, le=64 << 20, description="largest request body accepted")
    max_knowledge_bytes: int = Field(
        default=16 << 20, ge=1024, le=64 << 20, description="largest request body of documents to be searched"
    )
    mcp_allowed_origins: str = Field(
        default="", description="origins of web pages whose requests /mcp takes, separated by spaces"
    )
    rate_per_principal: float = Field(
        default=50, gt=0, le=1e6, description="requests a second that one principal may make in the long run"
    )
    burst_per_principal: int = Field(
        default=100, ge=MIN_BURST, le=10**6, description="requests that one principal may make at once"
    )
    rate_per_tenant: float = Field(default=200, gt=0, le=1e6, description="the same for a tenant's principals together")
    burst_per_tenant: int = Field(
        default=400, ge=MIN_BURST, le=10**6, description="the same for a tenant's principals together"
    )
    rate_per_address: float = Field(
        default=10, gt=0, le=1e6, description="token requests and failed sign-ins a second from one client address"
    )
    burst_per_address: int = Field(default=50, ge=1, le=10**6, description="the same at once")
    rate_exchange_seconds: float = Field(
        default=0.2, ge=0.02, le=5, description="how often replicas tell one another what they let through"
    )
    max_upload_bytes: int = Field(
        default=100 << 20, ge=1024, le=MAX_ARTIFACT_BYTES, description="largest archive that can be uploaded"
    )
    max_upload_bytes_per_tenant: int = Field(
        default=1 << 30, ge=1024, description="archives that one tenant can have uploaded within a week, in bytes"
    )
    max_concurrent_uploads: int = Field(
        default=4, ge=1, le=64, description="uploads under way at once; half of them at most for one tenant"
    )
    state_dir: Path = Field(
        default=Path(".worksite/gateway"), description="folder of uploads under way, private to this process"
    )
    bus_patience_seconds: float = Field(
        default=0.8, ge=0.1, le=60, description="a NATS that does not answer for so long is away: 503 until it is back"
    )
    drain_seconds: float = Field(
        default=2, ge=0, le=60, description="after SIGTERM: how long to go on answering, until balancers look elsewhere"
    )
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

    def rate_limits(self) -> Limits:
        """Per principal, tenant and client address."""
        return Limits(
            principal=Limit("principal", self.rate_per_principal, self.burst_per_principal),
            tenant=Limit("tenant", self.rate_per_tenant, self.burst_per_tenant),
            address=Limit("address", self.rate_per_address, self.burst_per_address),
        )

    @property
    def authorization_server(self) -> str | None:
        """The issuer, where its name is a URL that clients can go to."""
        return self.jwt_issuer if self.jwt_issuer.startswith(("https://", "http://")) else None

    @field_validator("mcp_allowed_origins")
    @classmethod
    def _origins(cls, value: str) -> str:
        for origin in value.split():
            parts = urlsplit(origin)
            if not parts.scheme or not parts.netloc or parts.path or parts.query or parts.fragment:
                raise ValueError(f"{origin} is no origin: write scheme://host[:port], nothing behind it")
        return value

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
