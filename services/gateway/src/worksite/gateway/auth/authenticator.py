"""From an Authorization header to a principal, with what was found out remembered for a short while."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from worksite.gateway.auth.errors import InvalidToken
from worksite.gateway.auth.revocations import Revocations
from worksite.gateway.auth.rings import LEEWAY_SECONDS
from worksite.gateway.auth.verifier import Verifier
from worksite.gateway.domain.principal import Principal

CACHE_SECONDS = 30.0
"""A token that is revoked, or whose key is withdrawn, works for this long at most on each gateway."""
_CACHE_ENTRIES = 10_000


class RevokedToken(InvalidToken):
    """A genuine token on the deny-list; whose it was is worth a record."""

    def __init__(self, principal: Principal) -> None:
        super().__init__("it has been revoked")
        self.principal = principal


@dataclass(frozen=True)
class _Verified:
    principal: Principal
    until: float


class Authenticator:
    """Verifies tokens; the cache spares a signature check and a look into the deny-list on most requests."""

    def __init__(self, verifier: Verifier, revocations: Revocations, clock: Callable[[], float] = time.time) -> None:
        self._verifier = verifier
        self._revocations = revocations
        self._clock = clock
        self._cache: OrderedDict[bytes, _Verified] = OrderedDict()

    async def authenticate(self, token: str) -> Principal:
        """Raises InvalidToken, RevokedToken, and a Retryable when it cannot be found out."""
        key = hashlib.sha256(token.encode()).digest()
        known = self._cache.get(key)
        if known and self._clock() < known.until:
            self._cache.move_to_end(key)
            return known.principal
        principal = await self._verifier.verify(token)
        if await self._revocations.revoked(principal.token_id):
            raise RevokedToken(principal)
        self._remember(key, principal)
        return principal

    async def still_admits(self, principal: Principal) -> bool:
        """Would whoever came in with a token still be let in? For what outlasts a request. Raises a Retryable."""
        return self._clock() < principal.expires_at and not await self._revocations.revoked(principal.token_id)

    def _remember(self, key: bytes, principal: Principal) -> None:
        until = min(self._clock() + CACHE_SECONDS, principal.expires_at + LEEWAY_SECONDS)
        self._cache[key] = _Verified(principal, until)
        self._cache.move_to_end(key)
        if len(self._cache) > _CACHE_ENTRIES:
            self._cache.popitem(last=False)
