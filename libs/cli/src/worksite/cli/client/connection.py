"""HTTP to the gateway: who we are, how long we wait, and its refusals as one line each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Any

import httpx
from worksite.cli.client.access import Access

_LONGEST_PAUSE_SECONDS = 60
"""So long in all one call waits where the gateway asks for it."""

Say = Callable[[str], None]


class GatewayError(Exception):
    """The gateway's problem document, as one line."""


class NotThere(GatewayError):
    """What the call names does not exist, or not for us."""


class Connection:
    """One client session; `say` is told why a call takes longer."""

    def __init__(self, access: Access, tenant: str, say: Say) -> None:
        self.access = access
        self.http = httpx.AsyncClient(base_url=access.url, timeout=30, trust_env=False, auth=_Bearer(access, tenant))
        self._say = say

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One call; where the gateway asks for a pause, it is made. Raises GatewayError."""
        waited = 0
        while (answer := await self._sent(method, path, options)).status_code == httpx.codes.TOO_MANY_REQUESTS:
            seconds = pause(answer)
            if waited + seconds > _LONGEST_PAUSE_SECONDS:
                raise GatewayError(f"{problem(answer)}: try again in {seconds} s")
            self._say(f"{problem(answer)}: waiting {seconds} s")
            await asyncio.sleep(seconds)
            waited += max(seconds, 1)
        if answer.is_error:
            raise (NotThere if answer.status_code == httpx.codes.NOT_FOUND else GatewayError)(problem(answer))
        return answer

    async def listed(
        self, path: str, member: str, page: int, filters: Mapping[str, str | None]
    ) -> AsyncGenerator[dict[str, Any]]:
        """Every item of a list that comes in pages of `page`."""
        query: dict[str, str | int] = {"limit": page} | {name: value for name, value in filters.items() if value}
        while True:
            answer = (await self.call("GET", path, params=query)).json()
            for item in answer[member]:
                yield item
            if not (cursor := answer.get("next")):
                return
            query["cursor"] = cursor

    async def _sent(self, method: str, path: str, options: dict[str, Any]) -> httpx.Response:
        try:
            return await self.http.request(method, path, **options)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GatewayError(f"{self.access.url} does not answer: {error or type(error).__name__}") from error


class _Bearer(httpx.Auth):
    """Fetches a token when there is none, and once more when it has expired."""

    def __init__(self, access: Access, tenant: str) -> None:
        self._access, self._tenant = access, tenant
        self._token: str | None = None

    async def async_auth_flow(self, request: httpx.Request):
        self._token = self._token or await self._access.token(self._tenant)
        request.headers["Authorization"] = f"Bearer {self._token}"
        answer = yield request
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._token = await self._access.token(self._tenant)
            request.headers["Authorization"] = f"Bearer {self._token}"
            yield request


def pause(answer: httpx.Response) -> int:
    """`Retry-After` in seconds (RFC 9110 section 10.2.3); a gateway of ours sends no dates."""
    asked = answer.headers.get("Retry-After", "")
    return int(asked) if re.fullmatch(r"[0-9]{1,9}", asked) else 1


def problem(answer: httpx.Response) -> str:
    """`title: detail (field: message; …)`."""
    try:
        document = answer.json()
        parts = [str(document.get("title", answer.status_code)), str(document.get("detail") or "")]
        fields = [f"{e.get('field', e.get('path', ''))}: {e.get('message', '')}" for e in document.get("errors", [])]
    except (ValueError, AttributeError):
        return f"the gateway answered {answer.status_code}"
    return ": ".join(part for part in parts if part) + (f" ({'; '.join(fields)})" if fields else "")
