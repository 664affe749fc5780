"""Settings of the builder, beside those that every service has."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
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
    allow_private_hosts: bool = Field(
        default=False, description="clone from loopback, link-local and private addresses too, for trusted clients"
    )
