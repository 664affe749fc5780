"""Settings of the builder, beside those that every service has."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from worksite.builder.domain.credentials import Credential, parse
from worksite.common.llm.settings import ModelSettings
from worksite.common.settings import ServiceSettings

_LARGEST_BYTES = 512 * 1024 * 1024
"""A bundle is held in memory while it is stored."""


class BuilderSettings(ServiceSettings, ModelSettings):
    """Environment variables (upper case) or files of the same name in SECRETS_DIR."""

    state_dir: Path = Field(default=Path(".worksite/builder"), description="folder of work in progress, private")
    blueprints_dir: Path = Field(default=Path("blueprints"), description="folder of the blueprints")
    max_repository_bytes: int = Field(
        default=_LARGEST_BYTES,
        gt=0,
        le=_LARGEST_BYTES,
        description="largest repository that is cloned, and largest tree that is unpacked or archived, in bytes",
    )
    max_upload_bytes: int = Field(
        default=100 << 20,
        gt=0,
        le=_LARGEST_BYTES,
        description="largest upload that is imported, in bytes; give the gateway the same",
    )
    max_leftover_bytes: int = Field(
        default=1 << 30,
        ge=0,
        description="what failed attempts may leave on the disk together, in bytes; the oldest goes first",
    )
    clone_timeout_seconds: float = Field(
        default=600, gt=0, description="longest time one clone, or one run of git over an upload, may take"
    )
    allow_file_urls: bool = Field(default=False, description="clone file:// URLs too, for trusted clients")
    allow_file_pushes: bool = Field(
        default=False,
        description="push to file:// URLs too: git runs the hooks of the repository there, as the builder",
    )
    allow_private_hosts: bool = Field(
        default=False,
        description="talk to git hosts at private and loopback addresses too, for trusted clients",
    )
    git_credentials: SecretStr | None = Field(
        default=None, description='JSON list of {"url", "tenants": [...] or "*", "token", "username", "api"} (a secret)'
    )

    def credentials(self) -> tuple[Credential, ...]:
        """Tokens for private repositories, pushes and merge requests."""
        return parse(self.git_credentials.get_secret_value()) if self.git_credentials else ()

    @model_validator(mode="after")
    def _tokens_are_kept_secret(self) -> Self:
        """Raises ValueError, for what cannot be read and for tokens that anybody on the way could."""
        for credential in self.credentials():
            for url in (credential.url, credential.api_url):
                if not url.startswith("https://") and not self.allow_private_hosts:
                    raise ValueError(f"GIT_CREDENTIALS: {url} must be https, or ALLOW_PRIVATE_HOSTS be set")
        return self
