"""When a model call that brought no reply is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from worksite.common.llm.errors import ModelUnavailable

_FIRST_SECONDS, _LAST_SECONDS = 0.5, 16.0


@dataclass(frozen=True)
class Retries:
    """`longest_wait_seconds`: a provider that asks for more has the step handed back instead."""

    tries: int = 5
    longest_wait_seconds: float = 60.0

    def wait_after(self, error: ModelUnavailable, tried: int, chance: random.Random) -> float | None:
        """Seconds until the next try, after so many; None: give up for now.

        Exponential backoff with full jitter; never sooner than the provider asks.
        """
        if tried >= self.tries or (error.retry_after_seconds or 0) > self.longest_wait_seconds:
            return None
        backoff = chance.uniform(0, min(_LAST_SECONDS, _FIRST_SECONDS * 2**tried))
        return max(backoff, error.retry_after_seconds or 0)
