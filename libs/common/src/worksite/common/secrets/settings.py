"""Settings of where secrets come from; every service has them."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SecretSettings(BaseSettings):
    """Vault's own credentials come from the environment or SECRETS_DIR, all other secrets from the source."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    secrets_source: Literal["env", "file", "vault"] | None = Field(
        default=None, description="where secrets come from; unset: files where SECRETS_DIR is set, else the environment"
    )
    secrets_dir: Path | None = Field(default=None, description="directory with one file per secret")
    secrets_poll_seconds: float = Field(
        default=10, ge=0.05, le=300, description="time between two looks at files or Vault for changed secrets"
    )
    secrets_ttl_seconds: float = Field(
        default=3600, ge=0.05, description="how long secrets count as fresh; not ready at twice that age"
    )
    vault_addr: str | None = Field(default=None, description="Vault or OpenBao, e.g. https://vault.example:8200")
    vault_cacert: Path | None = Field(default=None, description="the authority that signed its certificate (PEM)")
    vault_auth: Literal["approle", "kubernetes"] = Field(default="approle", description="how to sign in to it")
    vault_role: str | None = Field(default=None, description="role_id of the AppRole, or name of the Kubernetes role")
    vault_secret_id: SecretStr | None = Field(default=None, description="secret_id of the AppRole (a secret)")
    vault_jwt_file: Path = Field(
        default=Path("/var/run/secrets/vault/token"), description="the pod's token, for Kubernetes auth"
    )
    vault_mount: str = Field(default="secret", description="mount of the KV engine, version 2")
    vault_path: str | None = Field(default=None, description="secret to read there; unset: worksite/<service>")

    @model_validator(mode="after")
    def _source_is_complete(self) -> Self:
        if self.secrets_source == "file" and not self.secrets_dir:
            raise ValueError("SECRETS_SOURCE=file takes SECRETS_DIR")
        if self.secrets_source == "vault" and not (self.vault_addr and self.vault_role):
            raise ValueError("SECRETS_SOURCE=vault takes VAULT_ADDR and VAULT_ROLE")
        if self.secrets_source == "vault" and self.vault_auth == "approle" and not self.vault_secret_id:
            raise ValueError("VAULT_AUTH=approle takes VAULT_SECRET_ID")
        return self
