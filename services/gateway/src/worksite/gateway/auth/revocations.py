"""The deny-list: tokens that must no longer be accepted although they verify."""

from __future__ import annotations

import hashlib

from worksite.common import subjects
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import BusUnavailable


class Revocations:
    """Entries in the bucket `revoked`: the key is the SHA-256 of a token's `jti`, the value does not matter.

    Entries live for a day, and no token lives longer.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._store = KeyValue(bus, subjects.REVOKED)

    async def revoked(self, token_id: str) -> bool:
        """Raises BusUnavailable: who cannot ask must not guess."""
        if not self._bus.reachable:  # known already; asking would wait for a time-out
            raise BusUnavailable("not connected to NATS")
        # Whatever lies there: a service that is not ours to trust must not unsay it by writing over it.
        return await self._store.occupied(storage_key(token_id))


def storage_key(token_id: str) -> str:
    """Where a revocation lies."""
    return hashlib.sha256(token_id.encode()).hexdigest()
