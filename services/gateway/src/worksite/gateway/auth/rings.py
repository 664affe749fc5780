"""Keys that are replaced while tokens signed with the former ones are still good."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from joserfc.jwk import OctKey, OKPKey

TOKEN_SECONDS = 15 * 60
LEEWAY_SECONDS = 30
"""Clocks of an issuer and ours may differ by so much."""
LEAD_SECONDS = 7 * 60
"""Between the arrival of a key and its first signature: two minutes until every replica has it, and five during which
others may still hold the public keys that they fetched before."""
KEEP_SECONDS = LEAD_SECONDS + TOKEN_SECONDS + LEEWAY_SECONDS
"""How long a key verifies after another has come."""
K = TypeVar("K", OctKey, OKPKey)


@dataclass(frozen=True)
class _Held(Generic[K]):
    key: K
    since: float


class KeyRing(Generic[K]):
    """A key, and those that it has replaced."""

    def __init__(self, key: K, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._held: tuple[_Held[K], ...] = (_Held(key, float("-inf")),)

    def renew(self, key: K) -> None:
        """The key to be used from now on."""
        self._held = (_Held(key, self._clock()), *self._alive())

    @property
    def verifying(self) -> Sequence[K]:
        """Those whose tokens are good, the newest first."""
        return [held.key for held in self._alive()]

    @property
    def signing(self) -> K:
        """The newest that every replica knows, else the oldest."""
        known = (held.key for held in self._held if held.since + LEAD_SECONDS <= self._clock())
        return next(known, self._held[-1].key)

    def _alive(self) -> list[_Held[K]]:
        replaced_at = (float("inf"), *(held.since for held in self._held))
        now = self._clock()
        return [held for held, end in zip(self._held, replaced_at, strict=False) if now < end + KEEP_SECONDS]
