"""The clients of the embedded issuer, and what each may ask for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Literal

from authlib.oauth2.rfc6749 import ClientMixin, InvalidScopeError
from pydantic import Field, TypeAdapter, ValidationError
from worksite.common.messages import Model
from worksite.common.messages.base import Sha256, Tenant
from worksite.gateway.domain.principal import ROLES

Role = Literal["viewer", "developer", "approver", "operator"]


class Client(Model):
    """One entry of ISSUER_CLIENTS. The secret is a long random string, so its plain SHA-256 cannot be guessed from."""

    client_id: str = Field(min_length=1, max_length=200)
    secret_sha256: Sha256
    tenants: tuple[Tenant, ...] | Literal["*"]
    roles: tuple[Role, ...] = Field(min_length=1)


def parse(text: str) -> Mapping[str, Client]:
    """Clients by id. Raises ValueError naming the entry and field that do not fit; secrets are not repeated."""
    try:
        clients = TypeAdapter(list[Client]).validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the list"
        raise ValueError(f"{place}: {first['msg']}") from None
    return {client.client_id: client for client in clients}


class RegisteredClient(ClientMixin):
    """A client as Authlib wants to ask it. Without an entry it is a stranger, who answers in the same time."""

    _NOBODY = "0" * 64

    def __init__(self, entry: Client | None) -> None:
        self._entry = entry

    def check_client_secret(self, client_secret: str) -> bool:
        """In constant time, for strangers too: answers do not tell which ids exist."""
        expected = self._entry.secret_sha256 if self._entry else self._NOBODY
        given = hashlib.sha256(client_secret.encode()).hexdigest()
        return hmac.compare_digest(given, expected) and self._entry is not None

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """The issuer names its methods itself."""
        return True

    def check_grant_type(self, grant_type: str) -> bool:
        """The issuer has no other."""
        return grant_type == "client_credentials"

    def grant(self, tenant: str | None, role: str | None) -> tuple[str, str, list[str]]:
        """Subject, tenant and roles of the token; what is not asked for is all the client has.

        Raises InvalidScopeError for what the client may not have.
        """
        assert self._entry is not None, "a stranger is never authenticated"
        return self._entry.client_id, _tenant(self._entry, tenant), _roles(self._entry, role)


def _tenant(entry: Client, wanted: str | None) -> str:
    if wanted is None and entry.tenants != "*" and len(entry.tenants) == 1:
        return entry.tenants[0]
    try:
        tenant = TypeAdapter(Tenant).validate_python(wanted)
    except ValidationError:
        raise InvalidScopeError("tenant must name one tenant: 1 to 32 of a-z and 0-9") from None
    if entry.tenants != "*" and tenant not in entry.tenants:
        raise InvalidScopeError("this client may not act for that tenant")
    return tenant


def _roles(entry: Client, wanted: str | None) -> list[str]:
    roles = set(entry.roles) if wanted is None else set(wanted.split())
    if not roles or not roles <= ROLES:
        raise InvalidScopeError(f"role must be among {', '.join(sorted(ROLES))}")
    if not roles <= set(entry.roles):
        raise InvalidScopeError("this client may not have that role")
    return sorted(roles)
