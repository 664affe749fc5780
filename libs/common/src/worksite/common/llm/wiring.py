"""Model calls as a service's settings say. With a key it takes the extra `models` of this distribution."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from datetime import UTC, datetime

from worksite.common.bus import Bus
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.governor import Governor
from worksite.common.llm.pricing import Prices
from worksite.common.llm.settings import ModelSettings
from worksite.common.secrets.rotation import Secrets
from worksite.common.settings import SettingsError


def prices_of(settings: ModelSettings) -> Prices:
    """Of today. Raises Permanent for a table that cannot be read, UnknownPrice for a model that is called."""
    prices = Prices.shipped(datetime.now(UTC).date(), settings.model_prices)
    if settings.anthropic_api_key:
        for tier in ("small", "medium", "large"):
            prices.row(settings.model_of(tier))
    return prices


@contextlib.asynccontextmanager
async def model_calls(
    settings: ModelSettings, bus: Bus, service: str, secrets: Secrets
) -> AsyncGenerator[ModelCalls | None]:
    """While it is open; None without a key. A newer key among the secrets is used from the next call on.

    Raises Permanent for a table of prices that cannot be read, UnknownPrice where a tier's model has none, and
    SettingsError where the vendor's SDK is not installed.
    """
    if settings.anthropic_api_key is None:
        yield None
        return
    try:
        from worksite.common.llm.anthropic_model import AnthropicModel, Patience  # thousands of modules
    except ImportError as error:
        raise SettingsError("ANTHROPIC_API_KEY takes the extra worksite-common[models]") from error
    prices = prices_of(settings)
    patience = Patience(settings.model_reply_seconds, settings.model_silence_seconds)
    model = AnthropicModel(settings.anthropic_api_key, settings.anthropic_base_url, patience)

    secrets.on_change("anthropic_api_key", model.rekey)
    try:
        terms = Terms(model, prices, Governor(bus, settings.paces), server=model.server)
        yield ModelCalls(bus, service, terms, settings.budgets)
    finally:
        await model.close()
