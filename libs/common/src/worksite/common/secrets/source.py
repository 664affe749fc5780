"""The one function behind which every source of secrets is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import SecretStr
from worksite.common.settings import ServiceSettings, SettingsError, load

S = TypeVar("S", bound=ServiceSettings)
Read = Callable[[], S]
"""Reads everything anew, and checks it. Blocking. Raises SettingsError, SecretsUnavailable."""


def reader(settings: type[S], where: ServiceSettings, service: str) -> Read[S]:
    """How `service` reads its settings, with the secrets from the source that `where` names.

    Raises SettingsError for a source that is not installed.
    """
    if where.secrets_source != "vault":
        return lambda: load(settings)
    vault = _vault(where, service)
    return lambda: load(settings, vault.read())


def _vault(where: ServiceSettings, service: str):
    """The settings have seen to it that the address and what the way of signing in takes are set."""
    try:
        from worksite.common.secrets import vault
    except ImportError as error:
        raise SettingsError("SECRETS_SOURCE=vault takes the extra worksite-common[vault]") from error
    path, role = where.vault_path or f"worksite/{service}", where.vault_role or ""
    place = vault.Place(where.vault_addr or "", where.vault_mount, path, where.vault_cacert)
    if where.vault_auth == "kubernetes":
        return vault.Vault(place, vault.Kubernetes(role, where.vault_jwt_file))
    return vault.Vault(place, vault.AppRole(role, where.vault_secret_id or SecretStr("")))
