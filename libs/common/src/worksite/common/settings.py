"""Settings every service has; each service adds its own. Read once in `main`, passed down."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict
from worksite.common.bus import BusSettings, BusTls
from worksite.common.secrets.settings import SecretSettings


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable and what it must be."""


class _SecretFiles(SecretsSettingsSource):
    """Files of SECRETS_DIR; an empty one is a secret that is not set."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        value, name, is_complex = super().get_field_value(field, field_name)
        return (None if value == "" else value), name, is_complex


class ServiceSettings(SecretSettings):
    """Environment variables (upper case) or files of the same name in SECRETS_DIR; an empty value is none.

    Container tools hand on what nobody has set as an empty variable, and mount a secret only where there is a file.
    """

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment before the files, and no `.env`."""
        directory = getattr(file_secret_settings, "secrets_dir", None)
        return init_settings, env_settings, _SecretFiles(settings_cls, directory)

    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        description="the message bus; of a cluster several addresses, with commas between",
    )
    nats_user: str | None = Field(default=None, description="this service's user on the bus")
    nats_password: SecretStr | None = Field(default=None, description="its password (a secret)")
    nats_tls_ca: Path | None = Field(
        default=None, description="authority that signed the bus's certificates (PEM); unset: those the system trusts"
    )
    nats_tls_cert: Path | None = Field(default=None, description="our certificate (PEM), where the bus wants one")
    nats_tls_key: Path | None = Field(default=None, description="its key (PEM)")
    bind_host: str = Field(default="127.0.0.1", description="address that HTTP endpoints listen on")
    ops_port: int = Field(default=0, ge=0, le=65535, description="port of /healthz /readyz /metrics; 0: any free port")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level logged")
    otel_exporter_otlp_endpoint: str | None = Field(default=None, description="OTLP/HTTP collector; unset: no export")
    worker_concurrency: int = Field(default=2, ge=1, le=64, description="steps or requests handled at a time")
    grace_seconds: float = Field(default=10.0, gt=0, description="time to finish after SIGTERM")

    @model_validator(mode="after")
    def _tls_is_complete(self) -> Self:
        """Who names certificates wants no plain text."""
        if bool(self.nats_tls_cert) != bool(self.nats_tls_key):
            raise ValueError("NATS_TLS_CERT and NATS_TLS_KEY go together")
        plain = any(not url.strip().startswith(("tls://", "wss://")) for url in self.nats_url.split(","))
        if plain and (self.nats_tls_ca or self.nats_tls_cert):
            raise ValueError("NATS_TLS_CA and NATS_TLS_CERT take addresses with tls:// in NATS_URL")
        return self

    @property
    def operations_port(self) -> int:
        """Where the operations endpoint listens; a service with a planned port of its own overrides this."""
        return self.ops_port

    def bus(self, service: str) -> BusSettings:
        """How this service reaches the bus."""
        tls = BusTls(self.nats_tls_ca, self.nats_tls_cert, self.nats_tls_key)
        return BusSettings(self.nats_url, service, self.nats_user, self.nats_password, tls=tls)


S = TypeVar("S", bound=ServiceSettings)


def load(settings: type[S], stored: Mapping[str, str] | None = None) -> S:
    """Read the settings; `stored`: what a secret store has, by name in lower case. The environment goes before it.

    Raises SettingsError naming each variable that is missing or wrong.
    """
    directory = None if os.environ.get("SECRETS_SOURCE") == "env" else os.environ.get("SECRETS_DIR")
    if directory and not Path(directory).is_dir():
        raise SettingsError(f"SECRETS_DIR: {directory} is not a directory")
    given = {name.lower() for name, value in os.environ.items() if value}
    held = {name: value for name, value in (stored or {}).items() if value and name not in given}
    try:
        return settings(_secrets_dir=directory, **held)  # pyright: ignore[reportCallIssue, reportArgumentType]
    except ValidationError as error:
        raise SettingsError("; ".join(_told(found) for found in error.errors(include_input=False))) from None


def _told(found: ErrorDetails) -> str:
    """The variable and what is wrong with it; what concerns several at once names them itself."""
    name = ".".join(str(part) for part in found["loc"]).upper()
    return f"{name}: {found['msg']}" if name else found["msg"]
