# The SDK is typed, its streams of unions only in part; `StreamedReply` checks what comes.
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
"""Models behind the Messages API, by the official SDK: Anthropic's, or any server that speaks it (ANTHROPIC_BASE_URL).

Every reply is streamed: a silent server is noticed, long outputs need no long time-out, and of a reply that breaks off
we know what its prompt will cost. The SDK's retries are off, because every try has to be paid, limited and told of.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, cast

import anthropic
import httpx2
from anthropic import AsyncAnthropic, AsyncStream
from pydantic import SecretStr
from worksite.common.llm import wire
from worksite.common.llm.conversation import Completion, ModelRequest
from worksite.common.llm.errors import ModelUnavailable
from worksite.common.llm.port import Heard
from worksite.common.llm.provider_errors import translated
from worksite.common.llm.streaming import StreamedReply

_CONNECT_SECONDS = 5.0
_COUNT_SECONDS = 20.0


@dataclass(frozen=True)
class Patience:
    """How long one try may take. `silence_seconds`: between two signs of life; the API sends pings while it thinks."""

    whole_seconds: float = 600.0
    silence_seconds: float = 60.0


class AnthropicModel:
    """One connection pool; one for a process. Close it."""

    def __init__(self, api_key: SecretStr, base_url: str | None = None, patience: Patience = Patience()) -> None:
        self._patience, self._key = patience, api_key.get_secret_value()
        self._client = AsyncAnthropic(
            api_key=self._key,
            base_url=base_url,
            max_retries=0,
            timeout=anthropic.Timeout(patience.silence_seconds, connect=_CONNECT_SECONDS),
            open_telemetry=False,  # our span says what a call cost; two for one call would count it twice
        )

    @property
    def server(self) -> str:
        """Where it is, for people: without what may be secret in an address."""
        url = self._client.base_url
        return f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}"

    def rekey(self, api_key: SecretStr) -> None:
        """Calls from now on use this key; those under way end with the one that they began with."""
        self._key = self._client.api_key = api_key.get_secret_value()

    async def reply(self, request: ModelRequest, heard: Heard | None = None) -> Completion:
        """See the port."""
        request.check_sendable()
        reply, key = StreamedReply(heard), self._key
        try:
            async with asyncio.timeout(self._patience.whole_seconds):
                return reply.completion(await self._streamed(request, reply))
        except ModelUnavailable:
            raise
        except TimeoutError as error:
            raise reply.trouble("timeout", f"no reply within {self._patience.whole_seconds:g} s") from error
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError) as error:
            raise translated(error, reply, key) from None  # its own text may hold the key

    async def _streamed(self, request: ModelRequest, reply: StreamedReply) -> str | None:
        """Feeds the reply; returns the provider's id of the request."""
        given: dict[str, Any] = wire.body(request) | {"max_tokens": request.max_tokens, "stream": True}
        stream = cast(AsyncStream[Any], await self._client.messages.create(**given))
        async with stream:
            async for event in stream:
                reply.take(event.to_dict())
        return stream.response.headers.get("request-id")

    async def count_tokens(self, request: ModelRequest) -> int:
        """See the port."""
        request.check_sendable()
        nothing, key = StreamedReply(), self._key
        try:
            async with asyncio.timeout(_COUNT_SECONDS):
                given: dict[str, Any] = wire.body(request)
                return (await self._client.messages.count_tokens(**given)).input_tokens
        except TimeoutError as error:
            raise nothing.trouble("timeout", f"tokens were not counted within {_COUNT_SECONDS:g} s") from error
        except (anthropic.AnthropicError, httpx2.HTTPError, ValueError) as error:
            raise translated(error, nothing, key) from None

    async def close(self) -> None:
        """See the port."""
        await self._client.close()
