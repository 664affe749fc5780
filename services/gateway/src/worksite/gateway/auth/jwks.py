"""The key set of an external issuer: cached, refreshed when an unknown key turns up, served stale during an outage.

- fresh for 5 minutes; so long a key that the issuer has removed still verifies;
- an unknown `kid` asks again, but never within 10 seconds of the last attempt, and only one request is under way;
- a known `kid` does not wait for an issuer that is slow or away: whoever starts a refresh gives it half a second, so
  that a key which was removed during a quiet night is noticed; everybody else goes on at once with what there is;
- while the issuer is away the last set is served for 24 hours, then nothing is.
"""

from __future__ import annotations

import asyncio
import logging
import time
import warnings
from collections.abc import Awaitable, Callable, Mapping

import httpx
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, OctKey, RSAKey
from prometheus_client import Counter
from worksite.common.errors import ServiceUnavailable
from worksite.common.telemetry import from_zero

log = logging.getLogger(__name__)

FRESH_SECONDS = 300.0
MIN_INTERVAL_SECONDS = 10.0
MAX_STALE_SECONDS = 24 * 3600.0
PATIENCE_SECONDS = 0.5
FETCH_SECONDS = 5.0
_MAX_DOCUMENT_BYTES = 1 << 20
_MIN_RSA_BITS = 2048
_REFRESHES = from_zero(
    Counter("worksite_gateway_jwks_refreshes_total", "Attempts to fetch the key set", ["result"]), ("ok", "failed")
)

Fetch = Callable[[], Awaitable[object]]
"""Returns the parsed key set document. Raises httpx.HTTPError or ValueError."""


class Jwks:
    """The cached key set."""

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: Mapping[str, Key] = {}
        self._fetched_at: float | None = None
        self._attempted_at: float | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def find(self, kid: str) -> Key | None:
        """Raises ServiceUnavailable when there is no set young enough to say."""
        if kid not in self._keys or self._age() > FRESH_SECONDS:
            await self._brought_up_to_date(patient=kid not in self._keys or self._age() > MAX_STALE_SECONDS)
        if self._age() > MAX_STALE_SECONDS:
            raise ServiceUnavailable("the token issuer's key set cannot be fetched")
        return self._keys.get(kid)

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    async def _brought_up_to_date(self, patient: bool) -> None:
        """Wait for the refresh under way, or for a new one where it is time for one."""
        under_way = self._refreshing is not None
        if self._refreshing is None:
            if self._attempted_at is not None and self._clock() - self._attempted_at < MIN_INTERVAL_SECONDS:
                return
            self._attempted_at = self._clock()
            self._refreshing = asyncio.create_task(self._refresh())
        if patient or not under_way:
            await asyncio.wait({self._refreshing}, timeout=None if patient else PATIENCE_SECONDS)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                self._keys = parse(await self._fetch())
            self._fetched_at = self._clock()
            _REFRESHES.labels("ok").inc()
        except (httpx.HTTPError, ValueError, TimeoutError) as error:
            _REFRESHES.labels("failed").inc()
            log.warning("the key set could not be fetched: %s", str(error) or "no answer in time")
        finally:
            self._refreshing = None


def parse(document: object) -> dict[str, Key]:
    """The usable public keys by `kid`. Raises ValueError when there is none."""
    found: dict[str, Key] = {}
    for entry in document.get("keys", ()) if isinstance(document, dict) else ():
        key = _usable(entry)
        if key is not None and key.kid:
            found[key.kid] = key
    if not found:
        raise ValueError("the document holds no usable key")
    return found


def _usable(entry: object) -> Key | None:
    """None for kinds we do not know, shared secrets (they have no place in a public set) and weak keys."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # joserfc only warns of what is refused here
            key = JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, OctKey) or (isinstance(key, RSAKey) and key.raw_value.key_size < _MIN_RSA_BITS):
        return None
    return key


def fetcher(client: httpx.AsyncClient, url: str) -> Fetch:
    """Fetch over HTTP; redirects are not followed, so that nothing but the configured place can name keys."""

    async def fetch() -> object:
        async with client.stream("GET", url) as answer:
            answer.raise_for_status()
            data = bytearray()
            async for chunk in answer.aiter_bytes():
                data += chunk
                if len(data) > _MAX_DOCUMENT_BYTES:
                    raise ValueError(f"more than {_MAX_DOCUMENT_BYTES} bytes")
        return httpx.Response(200, content=bytes(data)).json()

    return fetch
