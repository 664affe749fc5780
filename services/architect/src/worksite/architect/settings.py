"""Settings of the architect, beside those that every service has."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from worksite.common.llm.settings import ModelSettings
from worksite.common.settings import ServiceSettings


class ArchitectSettings(ServiceSettings, ModelSettings):
    """Environment variables (upper case) or files of the same name in SECRETS_DIR."""

    blueprints_dir: Path = Field(default=Path("blueprints"), description="folder of the blueprints")
