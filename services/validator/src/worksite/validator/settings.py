"""Settings of the validator, beside those that every service has."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from worksite.common.llm.settings import ModelSettings
from worksite.common.settings import ServiceSettings
from worksite.validator.sandbox import SandboxSettings
from worksite.validator.sandbox.settings import Mode


class ValidatorSettings(ServiceSettings, ModelSettings):
    """Environment variables (upper case) or files of the same name in SECRETS_DIR."""

    worker_concurrency: int = Field(default=1, ge=1, le=64, description="judgements at a time; each runs two programs")
    state_dir: Path = Field(default=Path(".worksite/validator"), description="environments and workspaces; private")
    wheelhouse_dir: Path | None = Field(default=None, description="folder of wheels to install candidates' locks from")
    allow_index: bool = Field(default=False, description="also install from the package index (needs egress)")
    max_environment_cache_bytes: int = Field(
        default=8 << 30,
        ge=0,
        description="what environments kept for the next change may take, in bytes; the least recently used goes first",
    )
    sandbox: Mode = Field(
        default="auto",
        description="isolation level; auto: the strongest that works; none: by hand only, confines nothing",
    )

    validator_review: bool = Field(
        default=True, description="where there is a key, a model says what it thinks of each change; no verdict asks it"
    )
    validator_review_seconds: float = Field(
        default=120, gt=0, description="how long such a review may take; then the Report goes without"
    )

    def sandbox_settings(self) -> SandboxSettings:
        """What the sandbox has to know."""
        return SandboxSettings(state_dir=self.state_dir.resolve(), mode=self.sandbox)
