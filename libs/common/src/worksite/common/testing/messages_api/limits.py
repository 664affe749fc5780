"""Rate limits as token buckets that fill up continuously, and the headers that tell of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil, inf

from worksite.common.testing.messages_api.refusals import Refusal

_NAMES = ("requests", "input-tokens", "output-tokens")


@dataclass(frozen=True)
class Limits:
    """For a minute; a bucket holds a minute's worth. Tokens read from the cache are not input."""

    requests: float = inf
    input_tokens: float = inf
    output_tokens: float = inf


class Bucket:
    """May be overdrawn by output, which is known only at the end."""

    def __init__(self, per_minute: float, now: float) -> None:
        self.size = self.level = per_minute
        self._at = now

    def fill(self, now: float) -> None:
        if self.size < inf:
            self.level = min(self.size, self.level + (now - self._at) * self.size / 60)
        self._at = now

    def seconds_until(self, amount: float) -> float:
        return 0.0 if self.level >= amount else (amount - self.level) * 60 / self.size


class Limiter:
    """Of one workspace."""

    def __init__(self, limits: Limits, now: float) -> None:
        self._buckets = [Bucket(n, now) for n in (limits.requests, limits.input_tokens, limits.output_tokens)]

    def admit(self, input_tokens: int, now: float) -> None:
        """Raises a 429 Refusal, which takes nothing."""
        for bucket in self._buckets:
            bucket.fill(now)
        needs = (1.0, min(float(input_tokens), self._buckets[1].size), 1.0)
        waits = [bucket.seconds_until(need) for bucket, need in zip(self._buckets, needs, strict=True)]
        if max(waits) > 0:
            name = _NAMES[waits.index(max(waits))]
            raise Refusal(
                429, f"This request would exceed your rate limit of {name}", {"retry-after": str(ceil(max(waits)))}
            )
        self._buckets[0].level -= 1
        self._buckets[1].level -= input_tokens

    def put_out(self, output_tokens: int) -> None:
        self._buckets[2].level -= output_tokens

    def headers(self, wall: datetime) -> dict[str, str]:
        """Of the limits that there are."""
        told: dict[str, str] = {}
        for name, bucket in zip(_NAMES, self._buckets, strict=True):
            if bucket.size < inf:
                reset = wall.astimezone(UTC) + timedelta(seconds=bucket.seconds_until(bucket.size))
                told[f"anthropic-ratelimit-{name}-limit"] = str(int(bucket.size))
                told[f"anthropic-ratelimit-{name}-remaining"] = str(max(0, int(bucket.level)))
                told[f"anthropic-ratelimit-{name}-reset"] = reset.isoformat(timespec="seconds").replace("+00:00", "Z")
        return told
