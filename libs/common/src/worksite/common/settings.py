"""Settings every service has; each service adds its own. Read once in `main`, passed down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from worksite.common.bus import BusSettings


class SettingsError(Exception):
    """A setting is missing or wrong; the text names the variable and what it must be."""


class ServiceSettings(BaseSettings):
    """Environment variables (upper case) or files of the same name in SECRETS_DIR."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    nats_url: str = Field(
        default="nats://127.0.0.1:4222",
        description="the message bus; of a cluster several addresses, with commas between",
    )
    nats_user: str | None = Field(default=None, description="this service's user on the bus")
    nats_password: SecretStr | None = Field(default=None, description="its password (a secret)")
    bind_host: str = Field(default="127.0.0.1", description="address that HTTP endpoints listen on")
    ops_port: int = Field(default=0, ge=0, le=65535, description="port of /healthz /readyz /metrics; 0: any free port")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level logged")
    otel_exporter_otlp_endpoint: str | None = Field(default=None, description="OTLP/HTTP collector; unset: no export")
    worker_concurrency: int = Field(default=2, ge=1, le=64, description="steps or requests handled at a time")
    grace_seconds: float = Field(default=10.0, gt=0, description="time to finish after SIGTERM")

    @property
    def operations_port(self) -> int:
        """Where the operations endpoint listens; a service with a planned port of its own overrides this."""
        return self.ops_port

    def bus(self, service: str) -> BusSettings:
        """How this service reaches the bus."""
        return BusSettings(self.nats_url, service, self.nats_user, self.nats_password)


S = TypeVar("S", bound=ServiceSettings)


def load(settings: type[S]) -> S:
    """Read the settings; raises SettingsError naming each variable that is missing or wrong."""
    directory = os.environ.get("SECRETS_DIR")
    if directory and not Path(directory).is_dir():
        raise SettingsError(f"SECRETS_DIR: {directory} is not a directory")
    try:
        return settings(_secrets_dir=directory)  # pyright: ignore[reportCallIssue]
    except ValidationError as error:
        lines = [f"{'.'.join(str(p) for p in e['loc']).upper()}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsError("; ".join(lines)) from None
