"""Which artifacts are named, and until when whoever names them is kept."""

from __future__ import annotations

import re
from datetime import datetime

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAMED = re.compile(rb'"sha256":\s*"([0-9a-f]{64})"')


class Marks:
    """The hashes that messages name.

    Messages are not parsed: whatever has the form of an `ArtifactRef` counts, also in a message that a newer version
    wrote. What a client or a model says cannot have that form, because JSON escapes its quotes.
    """

    def __init__(self) -> None:
        self._until: dict[bytes, float] = {}

    def add(self, message: bytes, until: datetime) -> None:
        """What this message names is needed until then."""
        for found in _NAMED.findall(message):
            key = _key(found.decode())
            self._until[key] = max(until.timestamp(), self._until.get(key, 0.0))

    def forget(self, before: datetime) -> None:
        """Drop what was needed until an earlier time only."""
        self._until = {key: until for key, until in self._until.items() if until >= before.timestamp()}

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and _SHA256.fullmatch(sha256) is not None and _key(sha256) in self._until


def _key(sha256: str) -> bytes:
    """Half as large: there may be millions."""
    return bytes.fromhex(sha256)
