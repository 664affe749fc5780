"""The policies of POLICY_DIR, taken up while the gateway runs when somebody changes them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from pathlib import Path

from prometheus_client import Counter, Gauge
from worksite.common.policy import Policies, PolicyError
from worksite.common.settings import SettingsError

log = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""A change counts after two looks."""
_RELOADS = Counter("worksite_gateway_policy_reloads_total", "Changed policies, by what became of them", ["result"])
_REFUSED = Gauge(
    "worksite_gateway_policies_refused", "1 while the files in POLICY_DIR cannot be used, so that older ones decide"
)


@contextlib.asynccontextmanager
async def followed(directory: Path, look_seconds: float = LOOK_SECONDS) -> AsyncGenerator[Policies]:
    """Policies that keep up with their files while this is open. Raises SettingsError where there are no good ones."""
    try:
        policies = await asyncio.to_thread(Policies, directory)
    except PolicyError as error:
        raise SettingsError(f"POLICY_DIR: {error}") from error
    following = asyncio.create_task(_follow(policies, look_seconds))
    try:
        yield policies
    finally:
        following.cancel()


async def _follow(policies: Policies, look_seconds: float) -> None:
    while True:
        await asyncio.sleep(look_seconds)
        try:
            if await asyncio.to_thread(policies.look):
                log.info("changed policies decide from now on")
                _RELOADS.labels("taken").inc()
        except PolicyError as error:
            log.error("changed policies are not used, those before still decide: %s", error)
            _RELOADS.labels("refused").inc()
        _REFUSED.set(policies.refused)
