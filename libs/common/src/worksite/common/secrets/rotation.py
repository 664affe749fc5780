"""Secrets that change while a service runs: those it holds, and the watch for newer ones."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from prometheus_client import Gauge
from pydantic import SecretStr
from pydantic_settings import BaseSettings
from worksite.common.secrets.errors import SecretsUnavailable
from worksite.common.settings import SettingsError

log = logging.getLogger(__name__)

_AGE = Gauge("worksite_secret_age_seconds", "Since the secrets in use were last seen in their source")
T = TypeVar("T", bound=BaseSettings)


class Secrets:
    """The values in use of the secrets that were set at the start; whether one is set at all takes a restart."""

    def __init__(self, settings: BaseSettings | None = None) -> None:
        self._values: Mapping[str, SecretStr] = _secrets(settings) if settings else {}
        self._listeners: list[tuple[str, Callable[[SecretStr], None]]] = []

    def latest(self, settings: T) -> T:
        """The same settings, with the secrets as they are now."""
        return settings.model_copy(update=self._values)

    def on_change(self, name: str, listener: Callable[[SecretStr], None]) -> None:
        """To be called with each new value of that setting, in the event loop."""
        self._listeners.append((name, listener))

    def take(self, settings: BaseSettings) -> list[str]:
        """Use what these have from now on; returns the names of what changed.

        Raises SettingsError, and takes nothing, where a secret is missing: files may be seen half written.
        """
        found = _secrets(settings)
        if gone := sorted(name.upper() for name in self._values.keys() - found.keys()):
            raise SettingsError(f"{', '.join(gone)}: not set any more")
        changed = sorted(name for name, value in self._values.items() if found[name] != value)
        self._values = {name: found[name] for name in self._values}
        for name, listener in self._listeners:
            if name in changed:
                listener(found[name])
        return changed


def _secrets(settings: BaseSettings) -> Mapping[str, SecretStr]:
    fields = type(settings).model_fields
    return {name: value for name in fields if isinstance(value := getattr(settings, name), SecretStr)}


class Watch:
    """Reads the source again and again. What it says is checked like at the start: what would not start is refused,
    and the former values stay in use, as they do while the source is away."""

    def __init__(
        self,
        secrets: Secrets,
        read: Callable[[], BaseSettings],
        ttl_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._secrets, self._read, self._ttl_seconds, self._clock = secrets, read, ttl_seconds, clock
        self._seen_at = clock()
        self._trouble: str | None = None

    def age_seconds(self) -> float:
        """Since the secrets in use were last seen in their source."""
        return self._clock() - self._seen_at

    def ready(self) -> str | None:
        """The probe: a source may be away for twice the time to live."""
        if self.age_seconds() <= 2 * self._ttl_seconds:
            return None
        return f"not seen in their source for {self.age_seconds():.0f} s: {self._trouble or 'it does not answer'}"

    async def run(self, poll_seconds: float) -> None:
        """Until cancelled. Replicas spread their looks."""
        _AGE.set_function(self.age_seconds)
        while True:
            await asyncio.sleep(poll_seconds * random.uniform(0.8, 1.0))
            await self.look()

    async def look(self) -> None:
        """Once."""
        try:
            changed = self._secrets.take(await asyncio.to_thread(self._read))
        except (SecretsUnavailable, SettingsError, OSError) as error:
            if str(error) != self._trouble:  # an outage says the same at every look
                log.warning("the former secrets stay in use: %s", error)
            self._trouble = str(error)
            return
        self._seen_at, self._trouble = self._clock(), None
        if changed:
            log.info("changed without a restart: %s", ", ".join(name.upper() for name in changed))
