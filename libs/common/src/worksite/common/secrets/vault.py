# hvac returns whatever the server's JSON holds.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Secrets of a KV engine, version 2, in Vault or OpenBao. Blocking: call it in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hvac
import requests
from hvac import exceptions as refusals
from pydantic import SecretStr
from worksite.common.secrets.errors import SecretsUnavailable
from worksite.common.settings import SettingsError

_TIMEOUT_SECONDS = 3
_RENEW_AT = 2 / 3
"""Of a token's time to live."""
_AWAY = (
    requests.RequestException,
    refusals.BadGateway,
    refusals.InternalServerError,
    refusals.RateLimitExceeded,
    refusals.VaultDown,
    refusals.VaultNotInitialized,
)


@dataclass(frozen=True)
class AppRole:
    """Signs in with the two halves of an AppRole."""

    role_id: str
    secret_id: SecretStr

    def sign_in(self, client: hvac.Client) -> Mapping[str, Any]:
        return client.auth.approle.login(self.role_id, self.secret_id.get_secret_value(), use_token=False)


@dataclass(frozen=True)
class Kubernetes:
    """Signs in as the pod's service account. The cluster renews the file, so it is read at each sign-in."""

    role: str
    jwt_file: Path

    def sign_in(self, client: hvac.Client) -> Mapping[str, Any]:
        return client.auth.kubernetes.login(self.role, self.jwt_file.read_text().strip(), use_token=False)


@dataclass(frozen=True)
class Place:
    """Which Vault, and which of its secrets."""

    address: str
    mount: str
    path: str
    ca_file: Path | None = None


@dataclass(frozen=True)
class _Lease:
    """A token's life; times by the clock."""

    seconds: float
    renew_at: float
    renewable: bool


class Vault:
    """One secret with one key for each setting. Its token is renewed at two thirds of its life, while somebody reads
    that often; a token that cannot be renewed, or not for long any more, is replaced by a new sign-in."""

    def __init__(self, place: Place, identity: AppRole | Kubernetes, clock: Callable[[], float] = time.monotonic):
        self._place, self._identity, self._clock = place, identity, clock
        session = requests.Session()
        session.trust_env = False  # no proxy and no .netrc of whoever started us
        session.verify = str(place.ca_file) if place.ca_file else True
        # An empty token: for None hvac takes VAULT_TOKEN, or the token of whoever used Vault's command here.
        self._client = hvac.Client(place.address, "", timeout=_TIMEOUT_SECONDS, session=session)
        self._lease: _Lease | None = None

    def read(self) -> Mapping[str, str]:
        """By name in lower case. Raises SecretsUnavailable where another try may help, else SettingsError."""
        try:
            self._keep_signed_in()
            return self._secrets()
        except _AWAY as error:
            raise SecretsUnavailable(f"Vault at {self._place.address} does not answer: {_cause(error)}") from None
        except (refusals.VaultError, OSError) as error:
            self._lease = None
            place = f"{self._place.mount}/{self._place.path}"
            raise SettingsError(f"Vault at {self._place.address} has no {place} for us: {_cause(error)}") from None

    def _keep_signed_in(self) -> None:
        if self._lease is None or (self._clock() >= self._lease.renew_at and not self._renewed(self._lease)):
            self._sign_in()

    def _sign_in(self) -> None:
        self._lease, self._client.token = None, ""
        self._take(_answered(self._identity.sign_in(self._client))["auth"])

    def _renewed(self, lease: _Lease) -> bool:
        """False when the token's life cannot be prolonged, or comes to the end that its role sets to it."""
        if not lease.renewable:
            return False
        try:
            auth = _answered(self._client.auth.token.renew_self())["auth"]
        except (refusals.Forbidden, refusals.InvalidRequest):
            return False
        if auth["lease_duration"] < lease.seconds / 2:
            return False
        self._take(auth, lease.seconds)
        return True

    def _take(self, auth: Mapping[str, Any], full_seconds: float | None = None) -> None:
        seconds = auth["lease_duration"] or float("inf")  # 0: it never ends
        self._client.token = auth["client_token"]
        self._lease = _Lease(full_seconds or seconds, self._clock() + _RENEW_AT * seconds, auth["renewable"])

    def _secrets(self) -> Mapping[str, str]:
        try:
            return self._data()
        except refusals.Forbidden:  # the token may have ended or been revoked
            self._sign_in()
            return self._data()

    def _data(self) -> Mapping[str, str]:
        kv = self._client.secrets.kv.v2
        found = kv.read_secret_version(self._place.path, mount_point=self._place.mount, raise_on_deleted_version=True)
        data = _answered(found)["data"]["data"]
        if wrong := sorted(name for name, value in data.items() if not isinstance(value, str)):
            raise SettingsError(f"{self._place.path} in Vault: {', '.join(wrong)} must be text")
        return {name.lower(): value for name, value in data.items()}


def _answered(reply: object) -> Mapping[str, Any]:
    """Something between us and Vault may answer with a page of its own."""
    if not isinstance(reply, dict):
        raise SecretsUnavailable("what answers at VAULT_ADDR is not Vault")
    return reply


def _cause(error: Exception) -> str:
    """The kind and Vault's own words; never the request, which held the credentials."""
    said = [" ".join(str(text).split()) for text in getattr(error, "errors", None) or ()]
    return ": ".join([type(error).__name__, *said])
