"""What one reply used, in the provider's own classes of tokens."""

from __future__ import annotations

from pydantic import NonNegativeInt
from worksite.common.messages.base import Model


class Usage(Model):
    """Tokens of one billed response. The classes do not overlap: the prompt is the sum of the first four."""

    input_tokens: NonNegativeInt = 0
    """Of the prompt, neither read from the cache nor written to it."""
    cache_read_tokens: NonNegativeInt = 0
    cache_write_5m_tokens: NonNegativeInt = 0
    cache_write_1h_tokens: NonNegativeInt = 0
    output_tokens: NonNegativeInt = 0
    """Thinking included."""
    thinking_tokens: NonNegativeInt = 0
    tier: str = "standard"
    geo: str | None = None
    complete: bool = True
    """False: the response broke off, and what it had put out by then is not known exactly."""
    cache_split_known: bool = True
    """False: the server told only the sum of what was written to the cache; all of it counts as 5 minutes."""

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens

    @property
    def cache_write_tokens(self) -> int:
        """Of either lifetime."""
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def hit_rate(self) -> float:
        """Share of the prompt that was read from the cache, from 0 to 1."""
        return self.cache_read_tokens / self.prompt_tokens if self.prompt_tokens else 0.0

    def __add__(self, other: Usage) -> Usage:
        """Tokens of both; they must be of one tier and place, because one price is asked for the sum."""
        if (self.tier, self.geo) != (other.tier, other.geo):
            raise ValueError(f"usage of {self.tier}/{self.geo} and {other.tier}/{other.geo} has no common price")
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_5m_tokens=self.cache_write_5m_tokens + other.cache_write_5m_tokens,
            cache_write_1h_tokens=self.cache_write_1h_tokens + other.cache_write_1h_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            thinking_tokens=self.thinking_tokens + other.thinking_tokens,
            tier=self.tier,
            geo=self.geo,
            complete=self.complete and other.complete,
            cache_split_known=self.cache_split_known and other.cache_split_known,
        )
