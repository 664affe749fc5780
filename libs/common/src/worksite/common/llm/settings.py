"""Settings of a service that calls language models; it inherits them beside its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.pacing import PaceLimits
from worksite.common.messages.commands import Tier


def _key(given: SecretStr) -> SecretStr | None:
    """Blanks around it come with files and copies. What no header can carry would fail later, and errors quote it."""
    key = given.get_secret_value().strip()
    if not re.fullmatch("[!-~]*", key):
        raise ValueError("a key has neither blanks nor characters beyond ASCII in it")
    return SecretStr(key) if key else None


def _address(given: str) -> str:
    """`localhost:8088` reads as a scheme named localhost, and would fail at the first call only."""
    parts = urlsplit(given)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("no address with a scheme and a host, as http://127.0.0.1:8081")  # it may hold a password
    if re.search("/v1(/messages)?/?$", parts.path):
        raise ValueError("the address ends in /v1, which the Messages API adds by itself: leave that out")
    return given


class ModelSettings(BaseSettings):
    """Without a key there is no model, and blueprints serve what they cover."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, env_ignore_empty=True)

    anthropic_api_key: Annotated[SecretStr | None, AfterValidator(lambda given: given and _key(given))] = Field(
        default=None, description="key of the Messages API (a secret); a server of your own may take any"
    )
    anthropic_base_url: Annotated[str | None, AfterValidator(lambda given: given and _address(given))] = Field(
        default=None, description="root of a server that speaks the Messages API; unset: the vendor's"
    )
    model_small: str = Field(default="claude-haiku-5-5", description="model of the small tier")
    model_medium: str = Field(default="claude-sonnet-5-5", description="model of the medium tier")
    model_large: str = Field(default="claude-opus-5-5", description="model of the large tier")
    prompts_dir: Path = Field(default=Path("prompts"), description="folder of the agents' prompts")
    model_prices: Path | None = Field(
        default=None, description="file with prices of further models; a model without a price is never called"
    )
    model_reply_seconds: float = Field(default=600, gt=0, description="longest time one reply may take")
    model_silence_seconds: float = Field(default=60, gt=0, description="longest time a server may say nothing")
    model_requests_per_minute: float | None = Field(
        default=None, gt=0, description="the provider's limit for each model, for all replicas together; unset: none"
    )
    model_input_tokens_per_minute: float | None = Field(
        default=None, gt=0, description="the same of input tokens; what is read from the cache does not count"
    )
    model_output_tokens_per_minute: float | None = Field(default=None, gt=0, description="the same of output tokens")
    budget_tenant_usd: float = Field(default=200, ge=0, description="what one tenant's calls may cost in a month (UTC)")
    budget_task_usd: float = Field(default=5, ge=0, description="what one task's calls may cost")
    budget_step_usd: float = Field(default=3, ge=0, description="what one step's calls may cost")

    @model_validator(mode="after")
    def _a_server_takes_a_key(self) -> Self:
        """Whoever names a server wants it asked, and without a key nothing is."""
        if self.anthropic_base_url and self.anthropic_api_key is None:
            raise ValueError(
                "ANTHROPIC_BASE_URL is set and ANTHROPIC_API_KEY is not, so no model would be called: set the key too "
                "(for a server of your own that asks for none, any text)"
            )
        return self

    def model_of(self, tier: Tier) -> str:
        """The tier's model."""
        return {"small": self.model_small, "medium": self.model_medium, "large": self.model_large}[tier]

    @property
    def paces(self) -> dict[str, PaceLimits]:
        """The provider's limits, by model; two tiers of one model share them."""
        limits = PaceLimits(
            self.model_requests_per_minute, self.model_input_tokens_per_minute, self.model_output_tokens_per_minute
        )
        return {self.model_of(tier): limits for tier in ("small", "medium", "large")} if limits != PaceLimits() else {}

    @property
    def budgets(self) -> BudgetLimits:
        """In millionths of a dollar."""
        return BudgetLimits(
            tenant=round(self.budget_tenant_usd * 1e6),
            task=round(self.budget_task_usd * 1e6),
            step=round(self.budget_step_usd * 1e6),
        )
